"""Teachers and their students, beside networks written out in torch and differentiated by it."""

import math

import pytest
import torch

from orchestrator.domain.learner import revision_with
from orchestrator.domain.learners.distilled_student import DistilledStudent
from orchestrator.domain.learners.two_layer import TwoLayer
from orchestrator.domain.learners.two_layer_teacher import TwoLayerTeacher
from orchestrator.domain.lessons import Lessons
from orchestrator.domain.pack import run_pack
from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.targets.sparse_parity import SparseParity
from orchestrator.domain.trial import Cell, Trial

D, K, N = 8, 2, 80
SMALL = {"width": 16, "batch_size": 16, "teacher_width": 16, "teacher_n": 160, "teacher_stages": 4}
METHODS = ("one_shot", "progressive", "curriculum")


def a_student(method: str = "one_shot", **more: object) -> DistilledStudent:
    return DistilledStudent(method=method, **{**SMALL, **more})


def some(learner: object, n: int = N, count: int = 3) -> list[Trial]:
    return [Trial(Cell(SparseParity(), learner, Point(d=D, n=n, k=K)), one) for one in range(count)]


def teachers(trials: list[Trial]) -> list[Trial]:
    return [trial.teacher for trial in trials if trial.teacher is not None]


class Net:
    """f(x) = sum_j a_j relu(w_j . x + b_j) + c from a row as `Parameters.rows` lays it out."""

    def __init__(self, row: torch.Tensor, width: int) -> None:
        inputs = -(-(D + 1) // 8) * 8
        hidden = -(-width // 16) * 16
        first, outer, offset = row.tensor_split([inputs * hidden, inputs * hidden + hidden])
        first = first.reshape(inputs, hidden)
        self.weights, self.bias = first[:D, :width].mT.clone(), first[D, :width].clone()
        self.outer, self.offset = outer[:width].clone(), offset.clone()

    @property
    def parameters(self) -> list[torch.Tensor]:
        return [self.weights, self.bias, self.outer, self.offset]

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.weights.mT + self.bias).clamp(min=0.0)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.hidden(x) @ self.outer + self.offset


def lesson_of(trial: Trial) -> torch.Tensor:
    """The networks that its teacher keeps: (stages, P)."""
    lessons = Lessons()
    run_pack([trial.teacher], lessons=lessons)
    return lessons.of([trial.teacher.key])["networks"][0]


# The teacher


def test_a_teacher_s_stages_are_where_shorter_training_would_have_ended():
    """Its stream is the same whatever n is, and so are its steps, but for the last ones' rows."""
    stages, batch = 4, 16
    whole, keep = (
        some(TwoLayerTeacher(width=16, batch_size=batch, stages=stages), n=160)[0],
        Lessons(),
    )
    run_pack([whole], lessons=keep)
    networks = keep.of([whole.key])["networks"][0]
    assert whole.cell.learner.kept_steps(160) == [3, 5, 8, 10]
    for stage, steps in enumerate((3, 5, 8, 10)):
        cut = Trial(
            Cell(SparseParity(), TwoLayerTeacher(width=16, batch_size=batch, stages=1),
                 Point(d=D, n=steps * batch, k=K)), 0,
        )  # fmt: skip
        cut.__dict__["key"] = whole.key  # the same streams
        run_pack([cut], lessons=keep)
        assert torch.equal(keep.of([whole.key])["networks"][0, 0], networks[stage])


def test_a_teacher_is_two_layer_to_the_last_bit():
    settings = {"width": 16, "samples": "fresh", "loss": "squared", "weight_decay": 0.0}
    plain, teacher = (some(one(**settings), n=100) for one in (TwoLayer, TwoLayerTeacher))
    for one, other in zip(plain, teacher, strict=True):
        other.__dict__["key"] = one.key
    for one, other in zip(run_pack(plain), run_pack(teacher), strict=True):
        assert one.same_as(other)


def test_a_teacher_that_was_cut_short_keeps_the_same_networks(tmp_path, monkeypatch):
    from orchestrator.domain import two_layer_network
    from orchestrator.domain.checkpoints import Checkpoints

    trials = some(TwoLayerTeacher(width=16, batch_size=1, stages=5), n=200)
    calm, cut, kept = Lessons(), Lessons(), Checkpoints(tmp_path, every_s=0.0)
    run_pack(trials, lessons=calm)
    honest = two_layer_network._Training._chunk

    def chunk(self: object, number: int, places: list[int]) -> None:
        if number == 3:
            raise KeyboardInterrupt
        honest(self, number, places)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(two_layer_network._Training, "_chunk", chunk)
        with pytest.raises(KeyboardInterrupt):
            run_pack(trials, checkpoints=kept)
    assert kept.keys()
    run_pack(trials, checkpoints=kept, lessons=cut)
    keys = [trial.key for trial in trials]
    assert torch.equal(calm.of(keys)["networks"], cut.of(keys)["networks"])


# The student


def test_one_teacher_serves_every_method_and_every_n():
    found = {
        trial.teacher.key
        for method in METHODS
        for n in (10, 80)
        for trial in some(a_student(method), n=n, count=1)
    }
    assert len(found) == 1
    (other,) = some(a_student(teacher_n=161), count=1)
    assert other.teacher.key not in found


def test_a_new_revision_of_the_teacher_is_a_new_student():
    assert DistilledStudent.revision % 1000 == TwoLayerTeacher.revision
    older = type("Older", (), {"revision": 7})
    assert revision_with(1, older) != revision_with(1, TwoLayerTeacher)


@pytest.mark.parametrize("method", METHODS)
def test_a_student_s_steps_are_those_of_autograd_on_the_scores_of_its_course(method):
    """Five steps of plain gradient descent, written out; float32, so to 1e-5 and no closer."""
    student = a_student(method, optimiser="sgd", learning_rate=0.1)
    (trial,) = some(student, count=1)
    lessons = Lessons()
    run_pack([trial.teacher], lessons=lessons)
    nets, predictions = lesson_of(trial), []
    streams = Streams([trial.key], dtype=torch.float32)
    concept = SparseParity().draw(
        trial.cell.point, Streams([trial.teacher.key], dtype=torch.float32).at("concept")
    )
    course = [Net(nets[stage], 16) for stage in range(4)]
    if method == "one_shot":
        course = course[-1:]
    elif method == "curriculum":
        course = [projected(course[-1], concept, trial, streams), course[-1]]
    own = Net(initial(student, streams), 16)
    for parameter in own.parameters:
        parameter.requires_grad_()
    x = SparseParity().examples(concept, trial.cell.point, 32 * 16, streams.at("stream/0")).x[0]
    steps = N // 16
    for step in range(steps):
        batch = x[step * 16 : step * 16 + 16]
        share = step / steps
        place = int(share >= 0.5) if method == "curriculum" else int(len(course) * share)
        with torch.no_grad():
            wanted = course[place](batch)
        loss = (own(batch) - wanted).square().mean() / 2
        for parameter, slope in zip(
            own.parameters, torch.autograd.grad(loss, own.parameters), strict=True
        ):
            with torch.no_grad():
                parameter -= 0.1 * slope
    test = SparseParity().examples(concept, trial.cell.point, 1000, streams.at("test"))
    with torch.no_grad():
        predictions = own(test.x[0])
    (result,) = run_pack([trial], lessons=lessons)
    expected = 1.0 - (predictions - test.y[0]).square().mean() / test.y[0].var(correction=0)
    assert result.measures["r_squared"] == pytest.approx(float(expected), abs=1e-5)


def initial(student: DistilledStudent, streams: Streams) -> torch.Tensor:
    return student.initial(Point(d=D, n=N, k=K), streams.at("learner").at("initial")).rows()[0]


def projected(teacher: Net, concept, trial, streams) -> Net:
    own = streams.at("learner").at("projection")
    teacher = Net(lesson_of(trial)[-1], 16)
    teacher.outer, teacher.offset = own.normals(16)[0], torch.zeros(1)
    x = SparseParity().examples(concept, trial.cell.point, 1024, own.at("examples")).x[0]
    values = teacher(x)
    teacher.outer = teacher.outer / values.std()
    teacher.offset = -values.mean() / values.std() * torch.ones(1)
    check = teacher(x)
    assert abs(float(check.mean())) < 1e-5
    assert float(check.std()) == pytest.approx(1.0, abs=1e-4)
    return teacher


def test_a_student_is_judged_on_the_concept_that_its_teacher_knows():
    """A teacher that has learned its parity teaches it in 4,000 examples, to other weights. A wrong
    concept would be guessed right half of the time, within 0.05 but for a chance of 0.2%."""
    student = a_student(width=32, teacher_width=64, teacher_n=8000, batch_size=16)
    for result in run_pack(some(student, n=4000, count=4)):
        assert result.measures["test_accuracy"] > 0.9


def test_a_student_learns_the_same_wherever_its_lesson_comes_from(tmp_path):
    trials = [trial for method in METHODS for trial in some(a_student(method))]
    trained_here = run_pack(trials)
    Lessons(tmp_path).make()
    writer = Lessons(tmp_path)
    run_pack(list({one.key: one for one in teachers(trials)}.values()), lessons=writer)
    handed = Lessons()
    handed.take_over(writer.content([one.key for one in teachers(trials)]))
    for source in (writer, Lessons(tmp_path), handed):
        found = run_pack(trials, lessons=source)
        assert all(one.same_as(other) for one, other in zip(found, trained_here, strict=True))


def test_the_course_changes_at_each_trial_s_own_shares():
    progressive, curriculum = a_student("progressive"), a_student("curriculum", first_share=0.25)
    places = [progressive.lesson_at(step, 20 * 16, 4) for step in range(20)]
    assert places == [stage for stage in range(4) for _ in range(5)]
    places = [curriculum.lesson_at(step, 8 * 16, 2) for step in range(8)]
    assert places == [0, 0, 1, 1, 1, 1, 1, 1]


def test_students_of_a_teacher_that_diverged_diverge_alone():
    broken = a_student(teacher_learning_rate=1e30)
    mates = some(a_student())
    calm = run_pack(mates)
    found = run_pack([*some(broken), *mates])
    assert {str(one.outcome) for one in found[:3]} == {"diverged"}
    assert all(one.same_as(other) for one, other in zip(found[3:], calm, strict=True))
    assert all(math.isfinite(value) for one in found for value in one.measures.values())
