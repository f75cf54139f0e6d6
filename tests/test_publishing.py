"""What MLflow is told of a sweep while it runs, and how seldom what takes long is done."""

from orchestrator.api.files import threshold_figures
from orchestrator.api.publishing import COUNTS_S, PAGE_S, SHARE, THRESHOLDS_S, Publisher, Seldom
from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Threshold
from orchestrator.plan.asks import ArmTally
from orchestrator.sweep import Progress
from orchestrator.tracking import MemoryTracker
from tests.tracking.values import A_SPEC, a_sweep


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_takes_long_is_done_seldom():
    clock, done = Clock(), []

    def work(seconds: float) -> None:
        clock.now += seconds
        done.append(clock.now)

    seldom = Seldom(10.0, clock)
    assert not seldom.is_due
    clock.now = 10.0
    assert seldom.is_due
    seldom.do(lambda: work(0.1))
    clock.now += 9.9
    assert not seldom.is_due
    clock.now += 0.2
    assert seldom.is_due
    seldom.do(lambda: work(2.0))
    clock.now += 2.0 / SHARE - 1.0
    assert not seldom.is_due
    clock.now += 1.1
    assert seldom.is_due
    assert Seldom(10.0, clock, at_once=True).is_due


def test_figures_thresholds_and_the_page_come_as_the_sweep_goes():
    clock, tracker = Clock(), MemoryTracker()
    tracker.open(a_sweep())
    wins = {15: 1, 20: 20, 25: 39}
    tallies = [ArmTally(0, Point(d=10, n=n, k=1), won, 40) for n, won in wins.items()]

    def progress(answered: int, running: int = 4) -> Progress:
        return Progress(1, 200, answered, 0, 0, running, 1.0, lambda: tallies)

    def found():
        from orchestrator.answer import Heading, answer

        return answer(A_SPEC, Heading(A_SPEC.id, "running", None), [])

    publisher = Publisher(A_SPEC, tracker, found, clock)
    assert publisher.publish(progress(50))
    told = tracker.sweep.metrics
    assert dict(told) == {"trials": 50.0, "gaps": 0.0, "rounds": 1.0}
    clock.now = COUNTS_S + 1.0
    assert publisher.publish(progress(80))
    assert told["trials_per_second"] == 30.0 / (COUNTS_S + 1.0)
    assert not publisher.publish(progress(81))
    clock.now = THRESHOLDS_S + 1.0
    publisher.publish(progress(100))
    assert told["n_star_low.arm0.d10.k1"] < 20.0 < told["n_star_high.arm0.d10.k1"]
    assert told["width.arm0.d10.k1"] > 0.0
    assert told["thresholds_found"] == 1.0
    assert tracker.sweep.artifacts == {}
    clock.now = PAGE_S + 1.0
    publisher.publish(progress(120))
    assert tracker.sweep.artifacts["report.html"].startswith(b"<!")
    assert "so far: 0 trials" in tracker.sweep.note
    clock.now += 0.1
    assert publisher.publish(progress(160, running=0)), "the last word is always told"
    assert told["trials"] == 160.0


def test_what_is_not_found_is_no_figure():
    bound = Threshold(10, 1, "above_range", None, 50.0, None, 0.95, 30)
    found = Threshold(20, 1, "found", 40.0, 38.0, 42.0, 0.95, 30)
    assert threshold_figures([[bound], [found]]) == {
        "thresholds_found": 1.0,
        "n_star.arm1.d20.k1": 40.0,
        "n_star_low.arm1.d20.k1": 38.0,
        "n_star_high.arm1.d20.k1": 42.0,
        "width.arm1.d20.k1": 0.05,
    }


def test_what_fails_is_given_up_and_the_sweep_goes_on(caplog):
    clock = Clock()
    seldom = Seldom(10.0, clock, at_once=True)
    seldom.do(lambda: 1 / 0)
    clock.now = 1e9
    assert not seldom.is_due
    assert "ZeroDivisionError" in caplog.text
