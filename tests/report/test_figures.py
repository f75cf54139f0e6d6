import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from orchestrator.report import figures, headline
from orchestrator.report.kinds import kind_named, kinds
from orchestrator.report.marks import MARKERS, OKABE_ITO, ON_DARK, look, shades
from orchestrator.report.pictures.canvas import drawn, log_ticks, nice_ticks, shortened, thinned
from orchestrator.report.pictures.headline_picture import draw as draw_headline
from orchestrator.report.pictures.threshold_mark import apart
from tests.report.builders import (
    a_found,
    a_small_answer,
    an_answer,
    an_answer_with_k,
    an_arm,
    an_empty_answer,
)


@pytest.fixture(scope="module")
def files():
    return figures(an_answer())


@pytest.fixture(scope="module")
def words_in():
    """All text of a picture, by name, for the two-armed answer."""
    answer = an_answer()
    return texts_of(answer)


def texts_of(answer):
    texts = {kind.name: _text(answer, kind.on_paper) for kind in kinds(answer)}
    return {name: text for name, text in texts.items() if text is not None}


def _text(answer, draw):
    with drawn(answer, draw) as figure:
        if figure is None:
            return None
        figure.canvas.draw()
        found = [text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text"))]
    return "\n".join(found)


def test_every_picture_comes_as_png_and_as_pdf(files):
    names = (
        "success_curves", "collapse", "phase_d_n", "law", "ratios", "trials_spent", "narrowing",
    )  # fmt: skip
    assert set(files) == {f"figures/{name}.{kind}" for name in names for kind in ("png", "pdf")}


def test_the_files_are_what_their_names_say(files):
    for path, content in files.items():
        if path.endswith(".pdf"):
            assert content.startswith(b"%PDF-")
            assert content.rstrip().endswith(b"%%EOF")
        else:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                assert image.format == "PNG"
                assert len(np.unique(np.asarray(image.convert("L")))) > 20  # not a blank sheet
                assert "3f9a61c0d2b47e18" in image.text["Title"]


def test_equal_answers_give_equal_files():
    assert figures(an_empty_answer()) == figures(an_empty_answer())


def test_the_headline_is_wide_and_sharp():
    with Image.open(io.BytesIO(headline(an_answer()))) as image:
        width, height = image.size
    assert width >= 1500
    assert width / height == pytest.approx(16 / 9, rel=0.02)


def test_the_headline_compares_arms_by_powers_where_their_families_differ():
    net, kernel = an_answer().arms
    other = replace(kernel, law=replace(kernel.law, family="binomial"))
    differing = an_answer(arms=tuple(replace(arm, power=arm.law) for arm in (net, other)))
    assert "looks like d⁰·⁷⁹\n(0.70 to 0.88)" in _text(differing, draw_headline)
    assert "looks like" not in _text(an_answer(), draw_headline)
    assert "×3.9" in _text(an_answer(), draw_headline)


def test_every_picture_says_its_sweep_its_criterion_its_trials_and_its_gaps(words_in):
    for name, text in words_in.items():
        text = " ".join(text.split())
        for fact in ("3f9a61c0d2b47e18", "test_accuracy > 0.95", "690 trials", "10 gaps"):
            assert fact in text, name
        assert "training examples" in text or name == "narrowing"
        assert "95 %" in text, name


def test_the_law_says_its_exponents_with_intervals_and_its_doubts(words_in):
    assert "n* ∝ d⁰·⁷⁹ (0.70 to 0.88; not decisive)" in words_in["law"]
    assert "n* ∝ d¹·⁹² (1.84 to 2.00)" in words_in["law"]
    assert "theory (asymptotic)" in words_in["law"]
    assert "?" in words_in["law"].split("\n")  # the threshold of which nothing is known


def names(answer):
    return [kind.name for kind in kinds(answer)]


def test_planes_follow_what_varies():
    assert [name for name in names(an_answer_with_k()) if name.startswith("phase")] == [
        "phase_d_n",
        "phase_k_n",
        "phase_kd_nd",
    ]
    ks = [a_found(100, k, 10.0 * k)[0] for k in (2, 4, 8)]
    only_k = an_answer(arms=(an_arm(ks, None),), comparisons=())
    assert {"phase_k_n", "law"} <= set(names(only_k))
    assert "phase_d_n" not in names(only_k)


def test_a_sweep_without_trials_has_only_what_can_be_drawn():
    assert set(figures(an_empty_answer())) == {"figures/law.png", "figures/law.pdf"}
    assert headline(an_empty_answer()).startswith(b"\x89PNG")


@pytest.mark.parametrize("status", ["not_sharp", "not_monotone", "below_range", "above_range"])
def test_no_finding_stops_a_picture(status):
    answer = a_small_answer(status)
    texts = texts_of(answer)
    assert {"success_curves", "phase_d_n", "law", "trials_spent"} == set(texts)
    assert "no law" in texts["law"]


def test_names_from_outside_are_drawn_as_they_are():
    """`$` begins mathematics in matplotlib, and a script its font lacks makes it warn."""
    (arm,) = a_small_answer().arms
    odd = replace(arm, label=r"cost$_a \frac{$ 目标 " + "long " * 60)
    answer = a_small_answer(arms=(odd,), name="$x^$", question="$why^{$?")
    assert r"cost$_a \frac{$" in _text(answer, kind_named(answer, "success_curves").on_paper)
    assert headline(answer).startswith(b"\x89PNG")


def test_many_arms_are_all_drawn():
    arms = tuple(replace(arm, label=f"arm {i}") for i, arm in enumerate(a_small_answer().arms * 10))
    answer = a_small_answer(arms=arms)
    text = _text(answer, kind_named(answer, "success_curves").on_paper)
    assert all(f"arm {i}" in text.split("\n") for i in range(10))


def _contrast(colour, other):
    def luminance(one):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(one)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(colour), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("palette", "paper"), [(OKABE_ITO, "#ffffff"), (ON_DARK, "#1a1e25")])
def test_arms_differ_in_colour_and_can_be_seen_on_their_paper(palette, paper):
    for one, other in itertools.combinations(palette, 2):
        assert np.linalg.norm(np.subtract(to_rgb(one), to_rgb(other))) > 0.2
    assert all(_contrast(one, paper) > 2.0 for one in palette)


def test_the_first_arms_differ_in_colour_and_in_marker():
    looks = [look(arm) for arm in range(49)]
    assert len({(one.colour, one.marker) for one in looks}) == 49
    assert len({one.marker for one in looks[:7]}) == len(MARKERS)


@pytest.mark.parametrize("number", [1, 2, 5, 12])
def test_shades_differ_and_follow_the_order(number):
    colours = shades(number)
    assert len({one.light for one in colours}) == number
    lightness = [sum(np.multiply(to_rgb(one.light), (0.3, 0.6, 0.1))) for one in colours]
    assert lightness == sorted(lightness)


@pytest.mark.parametrize(
    ("low", "high"), [(3, 3000), (40, 60), (1, 1e7), (0.02, 6), (95, 105), (10, 10)]
)
def test_ticks_are_few_and_lie_inside(low, high):
    ticks = nice_ticks(low, high)
    assert len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


def test_log_axes_are_labelled_in_powers_with_bare_ticks_between():
    ticks = log_ticks(3, 3000)
    assert ticks.labels == ["10¹", "10²", "10³"]
    assert ticks.at == [10, 100, 1000]
    assert {3, 9, 20, 900, 3000} <= set(ticks.between)
    assert len(log_ticks(1e-8, 1e12).at) <= 7


def test_an_axis_that_holds_no_two_powers_has_plain_numbers():
    assert log_ticks(40, 300).labels == ["50", "70", "100", "150", "200", "300"]


def test_arms_are_overlaid_above_their_ratio(words_in):
    for part in ("two_layer over kernel_ridge", "ratio of n*", "n* at 50\u202f% success"):
        assert part in words_in["ratios"]


def test_curves_are_collapsed_on_the_thresholds_that_are_known(words_in):
    assert "n / n*, n in training examples" in words_in["collapse"]
    assert "Left out: 2 thresholds not known." in words_in["collapse"].replace("\n", " ")


def test_ticks_at_values_leave_out_what_would_touch():
    assert thinned([10, 15, 20, 30]) == [10, 15, 20, 30]
    assert thinned([10, 11, 100, 1000]) == [10, 100, 1000]
    assert thinned([7]) == [7]


def test_long_names_end_in_an_ellipsis():
    assert shortened("word " * 100, 20, lines=2).endswith("…")
    assert all(len(line) <= 20 for line in shortened("word " * 100, 20).split("\n"))


def test_names_that_would_meet_move_apart_and_stay_in_order():
    placed = apart([0.5, 0.5, 0.52, 0.99], 0.1, top=1.0)
    assert placed == sorted(placed)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(placed))
    assert placed[-1] <= 1.0
    assert apart([0.1, 0.9], 0.1) == [0.1, 0.9]
    assert apart([], 0.1) == []
