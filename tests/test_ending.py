"""What ended a search, in sentences, from counts alone."""

import re
from collections.abc import Iterator, Mapping

from orchestrator.answer import Answer, Heading, TrialRow, answer
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.ending import ending
from orchestrator.spec import ExperimentSpec


def a_spec(d: list[int], **search: object) -> ExperimentSpec:
    return ExperimentSpec.from_words(
        {
            "name": "ending",
            "target": {"kind": "sparse_parity"},
            "learner": {"kind": "kernel_ridge"},
            "axes": {"d": d, "k": 2, "n": {"low": 5, "high": 2000}},
            "success": {"measure": "test_accuracy", "above": 0.9},
            "search": {"kind": "threshold", **search},
        }
    )


def rows(d: int, trials: int, gaps: int = 0) -> Iterator[TrialRow]:
    """Trials at seven n around 5 d, with success as a curve of slope 12 has it, and gaps."""
    for step in range(-3, 4):
        n = round(5 * d * 1.08**step)
        wins = round(trials / (1 + (5 * d / n) ** 12))
        for repeat in range(trials + gaps):
            answered = repeat < trials
            yield TrialRow(
                key=f"{d} {n} {repeat}",
                arm=0,
                round=0,
                point=Point(d=d, n=n, k=2),
                repeat=repeat,
                seed=0,
                outcome=Outcome.FITTED if answered else None,
                success=repeat < wins if answered else None,
                measures={},
                seconds=0.1,
                attempt=1,
                cached=False,
            )


def found(
    spec: ExperimentSpec,
    stopped_by: str | None,
    trials: Mapping[int, tuple[int, int]],
    status: str = "finished",
) -> Answer:
    heading = Heading("0123456789abcdef", status, stopped_by)
    return answer(spec, heading, [row for d, (t, g) in trials.items() for row in rows(d, t, g)])


def test_a_search_that_knows_everything_says_so_and_what_halving_takes():
    spec = a_spec([20, 40], tolerance=0.1)
    first, second = ending(found(spec, "tolerance", {20: (60, 0), 40: (60, 0)}))
    assert first == "Stopped by tolerance; all 2 thresholds are settled at ±10%."
    assert second.startswith("Halving every interval would take about ")
    assert second.endswith(" times those so far.")


def test_a_search_that_ran_out_of_trials_says_what_is_open_and_what_would_settle_it():
    spec = a_spec([20, 40], tolerance=0.05, max_trials=500)
    first, second, _ = ending(found(spec, "max_trials", {20: (60, 0), 40: (5, 0)}))
    assert first == "Stopped by max_trials = 500; 1 of 2 thresholds are settled at ±5%."
    assert second.startswith("Not settled: d=40 k=2 stands at ±")
    assert "of ±5% asked; about " in second
    assert second.endswith("more trials would settle it.")


def test_thresholds_without_answers_are_never_passed_off_as_settled():
    spec = a_spec([20, 40], tolerance=0.1)
    said = ending(found(spec, "tolerance", {20: (60, 0), 40: (40, 50)}))
    assert said[0] == "Stopped with nothing left to ask; 1 of 2 thresholds are settled at ±10%."
    assert said[1].startswith("Left undecided for lack of answers")
    assert said[1].endswith(": d=40 k=2.")
    assert "Gaps widened the interval of one threshold." in said


def test_a_running_search_says_how_far_it_is():
    said = ending(found(a_spec([20, 40]), None, {20: (5, 0)}, status="running"))
    assert said[0] == "Running; 0 of 2 thresholds are settled at ±5%."
    assert "d=20 k=2 stands at ±" in said[1]


def test_a_search_for_exponents_speaks_of_them():
    spec = a_spec([20, 40, 80], tolerance=0.02, aim="exponents", max_hours=1)
    said = ending(found(spec, "max_hours", dict.fromkeys((20, 40, 80), (20, 0))))
    assert said[0] == "Stopped by max_hours = 1; 0 of 3 thresholds are settled."
    asked = r"The exponent of d stands at ±0\.\d+ of ±0\.02 asked; about \d+ times the trials .*"
    assert re.fullmatch(asked, said[1])


def test_a_design_has_no_such_ending():
    spec = a_spec([20], kind="grid")
    assert ending(found(spec, None, {20: (5, 0)})) == []
