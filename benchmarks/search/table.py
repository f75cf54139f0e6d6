"""The table: what was measured, beside the goals."""

import math
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np

from benchmarks.search import timing
from benchmarks.search.families import ODD, ORDINARY
from benchmarks.search.registry import METHODS
from benchmarks.search.results import Results
from benchmarks.search.rivals import against_peers, against_the_grid, in_batches
from benchmarks.search.scores import Array, Book, Coverage, Reader, Runs
from benchmarks.search.wording import number, quantiles, title, verdict

OUTCOMES = (30, 75, 200)

GOALS: dict[str, dict[int, tuple[float | None, float | None, float | None]]] = {
    "base": {30: (0.08, 0.18, None), 75: (0.045, 0.10, 0.20), 200: (0.025, 0.05, None)},
    "lapse_5": {75: (None, 0.14, None)},
    "planted": {75: (None, 0.13, None)},
}
"""Median, 90th percentile and worst error allowed, by family and outcomes."""

COVERAGE, COVERAGE_FLOOR, REJECTED = 0.935, 0.88, 0.001
SHARPNESS = 1.35
LABELLED, MISLABELLED = 0.95, 0.02
ASK_S, BATCH_S = 0.050, 0.200


def table(results: Results, *, with_timing: bool = True) -> str:
    """The whole table as text; parts without records are left out."""
    book = Book(results)
    parts = [
        _versions,
        _errors,
        _coverage,
        against_peers,
        against_the_grid,
        in_batches,
        _statuses,
    ]
    lines = [line for part in parts for line in part(book)]
    if with_timing:
        lines += _timing()
    return "\n".join(lines)


def _versions(book: Book) -> Iterator[str]:
    yield from title("methods")
    yield f"{'method':14s} {'version':26s} {'problems':>8} {'seconds per ask':>16}"
    for name in METHODS:
        runs = [book.runs(name, family) for family in METHODS[name].plan.families]
        records = [record for run in runs for record in run.records.values()]
        if records:
            version, present = book.version(name), METHODS[name].version()
            note = "" if version == present else "  (present: " + (present or "not installed") + ")"
            seconds = np.median([record["seconds"] for record in records])
            yield f"{name:14s} {version!s:26s} {len(records):8d} {seconds:16.4f}{note}"


def _errors(book: Book) -> Iterator[str]:
    yield from title("error: rms over a problem's thresholds, nats, both clipped to the range")
    yield "median / 90th percentile / worst after so many outcomes; the oracle beside it"
    for family in ORDINARY:
        ours, oracle = book.runs("ours", family), book.runs("oracle", family)
        for outcomes in OUTCOMES:
            errors = ours.errors(outcomes)
            if not len(errors):
                continue
            line = f"{family:18s} {outcomes:4d}  {_spread(errors)}  oracle "
            line += _spread(oracle.errors(outcomes)) + f"  n={len(errors)}"
            yield line + _against_goals(family, outcomes, errors)


def _spread(errors: Array) -> str:
    if not len(errors):
        return "    -     -     -"
    return " ".join(f"{value:.3f}" for value in quantiles(errors))


def _against_goals(family: str, outcomes: int, errors: Array) -> str:
    goals = GOALS.get(family, {}).get(outcomes)
    if goals is None:
        return ""
    pairs = list(zip(quantiles(errors), goals, strict=True))
    wanted = " ".join("-" if goal is None else f"{goal:g}" for goal in goals)
    ok = all(goal is None or value <= goal for value, goal in pairs)
    return f"  goal {wanted}: {verdict(ok)}"


def _coverage(book: Book) -> Iterator[str]:
    yield from title("coverage of 95% intervals, and their width beside those of two readers")
    yield "p: chance of so few hits if 95% held, clustered by problem. Width ratio: our median"
    yield "width to that of the informed reader, who knows link, slope and lapses (the goal),"
    yield "and to that of the oracle, who knows the law's prior as well; all see the same outcomes"
    for outcomes in OUTCOMES:
        every = [book.runs("ours", family) for family in ORDINARY]
        runs = [run for run in every if run.snapshots(outcomes)]
        if not runs:
            continue
        for run in runs:
            cover = run.coverage(outcomes)
            p = cover.chance_of_less(0.95)
            ok = cover.share >= COVERAGE_FLOOR and p >= REJECTED
            yield (
                f"{run.family:18s} {outcomes:4d}  {cover.share:6.1%}  p {p:7.2g}  "
                f"width ratio {_ratios([run], outcomes)}  {verdict(ok)}"
            )
        covers = [run.coverage(outcomes) for run in runs]
        hits = np.concatenate([cover.hits for cover in covers])
        suite = Coverage(hits, np.concatenate([cover.counts for cover in covers]))
        ratio = _ratio(runs, outcomes, "informed")
        yield (
            f"{'SUITE':18s} {outcomes:4d}  {suite.share:6.1%} goal {COVERAGE:.1%}: "
            f"{verdict(suite.share >= COVERAGE)}  "
            f"width ratio {_ratios(runs, outcomes)} goal {SHARPNESS}: "
            f"{verdict(ratio <= SHARPNESS)}"
        )
    yield from _others_coverage(book)


def _others_coverage(book: Book) -> Iterator[str]:
    for name in ("oracle", "questplus"):
        covers = [book.runs(name, family).coverage(75) for family in ORDINARY]
        total = sum(cover.counts.sum() for cover in covers)
        if total:
            hits = sum(cover.hits.sum() for cover in covers)
            yield f"for comparison, {name} after 75: {hits / total:.1%}"


def _ratios(runs: Sequence[Runs], outcomes: int) -> str:
    return "/".join(number(_ratio(runs, outcomes, reader)) for reader in get_args(Reader))


def _ratio(runs: Sequence[Runs], outcomes: int, reader: Reader) -> float:
    widths = [run.widths(outcomes, reader) for run in runs]
    own, theirs = (np.concatenate(column) for column in zip(*widths, strict=True))
    return float(np.median(own) / np.median(theirs)) if len(own) else math.nan


def _statuses(book: Book) -> Iterator[str]:
    yield from title("statuses")
    right = total = 0
    for family in ODD:
        good, count = book.runs("ours-settled", family).labelled(None)
        if count:
            right, total = right + good, total + count
            ok = good >= LABELLED * count
            yield f"{family:18s} right in {good} of {count} ({good / count:.1%}): {verdict(ok)}"
    if total:
        ok = right >= LABELLED * total
        line = f"{'together':18s} right in {right} of {total} ({right / total:.1%})"
        yield f"{line} goal {LABELLED:.0%}: {verdict(ok)}"
    for outcomes in OUTCOMES:
        counts = [book.runs("ours", family).mislabelled(outcomes) for family in ORDINARY]
        yield from _wrong(f"ordinary after {outcomes}", counts)
        worst = max(zip(ORDINARY, counts, strict=True), key=lambda row: row[1][0])
        if worst[1][0]:
            yield f"{'':18s} most in {worst[0]}: {worst[1][0]} of {worst[1][1]}"
    counts = [book.runs("ours-settled", family).mislabelled(None) for family in ODD]
    yield from _wrong("beside odd ones", counts)


def _wrong(name: str, counts: Sequence[tuple[int, int]]) -> Iterator[str]:
    wrong, total = (sum(column) for column in zip(*counts, strict=True))
    if total:
        ok = wrong <= MISLABELLED * total
        line = f"{name:18s} {wrong} of {total} mislabelled ({wrong / total:.2%})"
        yield f"{line} goal {MISLABELLED:.0%}: {verdict(ok)}"


def _timing() -> Iterator[str]:
    yield from title("time of an ask: 2,000 points seen, 50 thresholds asked, CPU seconds")
    for name, seconds, goal in (
        ("one", timing.by_planning(1), ASK_S),
        ("batch of 16", timing.by_planning(timing.BATCH), BATCH_S),
        ("one, through Optuna", timing.by_sampler(), ASK_S),
    ):
        yield f"{name:20s} {seconds:.3f} goal {goal}: {verdict(seconds <= goal)}"
