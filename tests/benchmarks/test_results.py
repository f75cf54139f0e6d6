"""A run that was killed goes on where it stopped; scores are what they say."""

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.search import rivals, table
from benchmarks.search.families import REVISION
from benchmarks.search.registry import METHODS
from benchmarks.search.results import Results
from benchmarks.search.runner import do, missing, run
from benchmarks.search.scores import Book, Coverage, Runs, outcomes_to_reach


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path)


def left(results, **how):
    jobs = missing(results, ["staircase"], ["one", "surface"], problems=2, outcomes=10, **how)
    return [(job.family, job.number) for job in jobs]


def test_a_run_that_stopped_goes_on_where_it_stopped(results):
    jobs = missing(results, ["staircase"], ["one", "surface"], problems=2, outcomes=10)
    for _ in run(jobs[:3], results, processes=1):
        pass
    assert left(results) == [("surface", 1)]
    assert missing(results, ["staircase"], ["one"], problems=1, outcomes=20)


def test_nothing_is_begun_once_the_time_is_over(results):
    jobs = missing(results, ["staircase"], ["one"], problems=2, outcomes=10)
    assert list(run(jobs, results, processes=1, until=0.0)) == []


def a_record(number: int, **changes: object) -> dict[str, object]:
    version = METHODS["staircase"].version()
    row = {"problem": number, "seconds": 0.0, "at": {}, "budget": 10, "version": version}
    return {**row, "revision": REVISION, **changes}


def test_a_line_that_a_kill_cut_off_is_run_again_and_spoils_no_other(results):
    results.add("staircase", "one", a_record(0))
    path = results.folder / "staircase" / "one.jsonl"
    path.write_bytes(path.read_bytes() + b'{"problem": 1, "sec')
    assert left(results) == [("surface", 0), ("one", 1), ("surface", 1)]
    results.add("staircase", "one", a_record(1))
    assert left(results) == [("surface", 0), ("surface", 1)]


@pytest.mark.parametrize("changes", [{"version": "older"}, {"revision": -1}, {"budget": 9}])
def test_records_of_other_versions_problems_and_smaller_budgets_are_void(results, changes):
    results.add("staircase", "one", a_record(0, **changes))
    assert ("one", 0) in left(results)


def test_coverage_of_single_thresholds_is_tested_by_the_binomial():
    hits = np.r_[np.ones(180), np.zeros(20)]
    assert Coverage(hits, np.ones(200)).chance_of_less(0.95) == pytest.approx(
        binom.cdf(180, 200, 0.95), rel=1e-6
    )


def test_thresholds_that_miss_together_count_as_fewer():
    together = Coverage(np.r_[np.full(36, 5.0), np.zeros(4)], np.full(40, 5.0))
    apart = Coverage(np.r_[np.full(20, 5.0), np.full(20, 4.0)], np.full(40, 5.0))
    assert together.share == apart.share == 0.9
    assert together.chance_of_less(0.95) > 10 * apart.chance_of_less(0.95)


def rows(*errors: float) -> Runs:
    """One problem whose estimates are off by so much after 10, 20, 40 ... outcomes."""
    truth = 7.201087  # of problem 0 of the family of one threshold
    at = {str(10 * 2**i): {"x": [truth + error]} for i, error in enumerate(errors)}
    return Runs("staircase", "one", {0: {"at": at}})


def test_outcomes_to_reach_an_error_are_interpolated_in_logarithms():
    runs = rows(0.4, 0.2, 0.1)
    assert outcomes_to_reach(runs, 0.2) == pytest.approx(20, rel=1e-3)
    assert outcomes_to_reach(runs, 0.2 / 2**0.5) == pytest.approx(20 * 2**0.5, rel=1e-3)
    assert outcomes_to_reach(runs, 0.9) == 10
    assert outcomes_to_reach(runs, 0.05) == np.inf


def test_a_peer_on_three_problems_is_not_called_the_best():
    record = {"at": {"75": {"x": [7.0]}}}
    three, four = (
        Runs("staircase", "one", dict.fromkeys(range(count), record)) for count in (3, 4)
    )
    assert not list(rivals.best_peer("one", four, [three]))
    assert "staircase n=4" in next(iter(rivals.best_peer("one", four, [three, four])))


def test_the_table_is_printed_of_whatever_there_is(results):
    assert "methods" in table.table(results, with_timing=False)
    for job in missing(results, ["ours", "staircase", "grid-20x10"], ["one"], 1, 8):
        results.add(job.method, job.family, do(job))
    text = table.table(results, with_timing=False)
    assert "staircase" in text
    assert Book(results).runs("ours", "one").coverage(8).counts.sum() == 1
