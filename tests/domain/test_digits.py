import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.digits import Digits, images
from tests.builders import a_point


def drawn(k=5, d=64, count=1297, key="a"):
    """Signs of the digits (10,), `count` examples and the held-out ones of one trial."""
    target, streams, point = Digits(), Streams([key]), a_point(d=d, k=k)
    concept = target.draw(point, streams.at("concept"))
    train = target.examples(concept, point, count, streams.at("train"))
    return concept[0, :10], train, target.held_out(concept, point, streams.at("test"))


def which(x):
    """The images that inputs (m, 64) are; no two of the 1,797 are equal."""
    pixels = load_digits().data
    scale = np.sqrt(np.square(pixels - pixels.mean(0)).mean())
    found = np.rint(x.numpy() * scale + pixels.mean(0)).astype(int)
    places = {tuple(image): place for place, image in enumerate(pixels.astype(int).tolist())}
    assert len(places) == 1797
    return [places[tuple(image)] for image in found.tolist()]


def test_the_images_are_those_of_scikit_learn():
    theirs = load_digits()
    assert np.array_equal(images().pixels, theirs.data)
    assert np.array_equal(images().digits, theirs.target)


def test_an_image_is_held_out_or_given_and_all_are_one_or_the_other():
    _, train, test = drawn()
    assert (train.x.shape, test.x.shape) == ((1, 1297, 64), (1, 500, 64))
    assert sorted(which(train.x[0]) + which(test.x[0])) == list(range(1797))


def test_a_label_says_whether_the_digit_is_one_of_k():
    for k in (1, 5, 9):
        signs, train, test = drawn(k=k)
        assert int((signs == 1).sum()) == k
        for examples in (train, test):
            digits = load_digits().target[which(examples.x[0])]
            assert torch.equal(examples.y[0], signs[torch.from_numpy(digits)].double())


def test_after_all_images_they_come_again():
    _, train, _ = drawn(count=1300)
    assert torch.equal(train.x[:, 1297:], train.x[:, :3])


def test_another_trial_has_other_digits_and_another_split():
    signs, train, test = drawn(key="a")
    other_signs, other_train, other_test = drawn(key="b")
    assert not torch.equal(signs, other_signs)
    assert not torch.equal(test.x, other_test.x)
    assert not torch.equal(train.x, other_train.x)


def test_fewer_pixels_are_the_ones_that_vary_most():
    _, train, _ = drawn(d=10)
    variances = load_digits().data.var(0)
    found = train.x[0].numpy()
    assert found.shape == (1297, 10)
    assert np.square(found).mean() > 0.9
    kept = np.sort(np.argsort(-variances)[:10])
    ratio = found.var(0) / variances[kept]
    assert np.ptp(ratio) < 0.1 * ratio.mean()


def test_too_many_pixels_and_digits_are_refused_in_words():
    target = Digits()
    assert target.faults(64, 9) == []
    assert any("64 pixels" in fault for fault in target.faults(65, 5))
    assert any("leaves none" in fault for fault in target.faults(64, 10))


def test_a_linear_separator_of_scikit_learn_tells_one_digit_from_the_rest():
    """It is known to get nearly all of them right, so the held-out labels mean what they say."""
    _, train, test = drawn(k=1)
    model = LogisticRegression(max_iter=2000).fit(train.x[0].numpy(), train.y[0].numpy())
    assert model.score(test.x[0].numpy(), test.y[0].numpy()) > 0.95
