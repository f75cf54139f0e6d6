"""The table: what was measured, beside the goals."""

import math
from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np

from benchmarks.search import timing
from benchmarks.search.families import ALONE, ODD, ORDINARY
from benchmarks.search.registry import BATCHED, METHODS, PEERS
from benchmarks.search.results import Results
from benchmarks.search.scores import (
    Array,
    Book,
    Coverage,
    Reader,
    Runs,
    bound,
    outcomes_to_reach,
    work_at,
)

OUTCOMES = (30, 75, 200)

PROPER, WITH_LAW = ("x", "fit"), ("joint",)
"""Readings of a peer: its own and a logistic fit per threshold; and, apart, a regression by someone
who knows that the law is a power."""

GOALS: dict[str, dict[int, tuple[float | None, float | None, float | None]]] = {
    "base": {30: (0.08, 0.18, None), 75: (0.045, 0.10, 0.20), 200: (0.025, 0.05, None)},
    "lapse_5": {75: (None, 0.14, None)},
    "planted": {75: (None, 0.13, None)},
}
"""Median, 90th percentile and worst error allowed, by family and outcomes."""

COVERAGE, COVERAGE_FLOOR, REJECTED = 0.935, 0.88, 0.001
SHARPNESS, OF_BEST_PEER, OF_GRID, OF_BOUND = 1.35, 0.25, 0.01, 2.0
IN_FLIGHT, LABELLED, MISLABELLED = 1.3, 0.95, 0.02
ASK_S, BATCH_S = 0.050, 0.200


def table(results: Results, *, with_timing: bool = True) -> str:
    """The whole table as text; parts without records are left out."""
    book = Book(results)
    parts = [_versions, _errors, _coverage, _peers, _grid, _batches, _statuses]
    lines = [line for part in parts for line in part(book)]
    if with_timing:
        lines += _timing()
    return "\n".join(lines)


def _verdict(ok: bool) -> str:
    return "ok" if ok else "MISSED"


def _number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else f"{value:.3g}"


def _title(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def _versions(book: Book) -> Iterator[str]:
    yield from _title("methods")
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
    yield from _title("error: rms over a problem's thresholds, nats, both clipped to the range")
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
    return " ".join(f"{value:.3f}" for value in _quantiles(errors))


def _quantiles(errors: Array) -> tuple[float, float, float]:
    return float(np.median(errors)), float(np.quantile(errors, 0.9)), float(errors.max())


def _against_goals(family: str, outcomes: int, errors: Array) -> str:
    goals = GOALS.get(family, {}).get(outcomes)
    if goals is None:
        return ""
    pairs = list(zip(_quantiles(errors), goals, strict=True))
    wanted = " ".join("-" if goal is None else f"{goal:g}" for goal in goals)
    ok = all(goal is None or value <= goal for value, goal in pairs)
    return f"  goal {wanted}: {_verdict(ok)}"


def _coverage(book: Book) -> Iterator[str]:
    yield from _title("coverage of 95% intervals, and their width beside those of two readers")
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
                f"width ratio {_ratios([run], outcomes)}  {_verdict(ok)}"
            )
        covers = [run.coverage(outcomes) for run in runs]
        hits = np.concatenate([cover.hits for cover in covers])
        suite = Coverage(hits, np.concatenate([cover.counts for cover in covers]))
        ratio = _ratio(runs, outcomes, "informed")
        yield (
            f"{'SUITE':18s} {outcomes:4d}  {suite.share:6.1%} goal {COVERAGE:.1%}: "
            f"{_verdict(suite.share >= COVERAGE)}  "
            f"width ratio {_ratios(runs, outcomes)} goal {SHARPNESS}: "
            f"{_verdict(ratio <= SHARPNESS)}"
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
    return "/".join(_number(_ratio(runs, outcomes, reader)) for reader in get_args(Reader))


def _ratio(runs: Sequence[Runs], outcomes: int, reader: Reader) -> float:
    widths = [run.widths(outcomes, reader) for run in runs]
    own, theirs = (np.concatenate(column) for column in zip(*widths, strict=True))
    return float(np.median(own) / np.median(theirs)) if len(own) else math.nan


def _peers(book: Book) -> Iterator[str]:
    yield from _title("against the best peer after 75 outcomes (the best of its readings)")
    yield "ours and the peer on the problems that both have: median / 90th percentile"
    for family in ORDINARY:
        ours = book.runs("ours", family)
        rows = [(_versus(ours, book.runs(name, family), PROPER), name) for name in _sequential()]
        found = [(versus, name) for versus, name in rows if versus is not None]
        for part, (at, word) in enumerate(((0, "median"), (1, "90th"))):
            if not found:
                continue
            peers = [versus[1][at] for versus, _ in found]
            (own, other, count), name = found[int(np.argmin(peers))]
            mine, theirs = own[at], other[at]
            most = 1.0 if family in ALONE else OF_BEST_PEER
            line = (
                f"{'' if part else family:18s} {word:6s} {mine:.3f} {theirs:.3f} {name} n={count}"
            )
            line += f"  ratio {mine / theirs:.2f} goal {most}: "
            yield line + _verdict(mine <= most * theirs)
    yield ""
    yield "every peer: median error after 75 outcomes, of a grid after all of its own;"
    yield "by the readings of single thresholds / when told that the law is a power"
    yield f"{'':18s} " + " ".join(f"{name:>13s}" for name in PEERS)
    for family in ORDINARY:
        cells = [_cell(book.runs(name, family)) for name in PEERS]
        if any(cell != "-" for cell in cells):
            yield f"{family:18s} " + " ".join(f"{cell:>13s}" for cell in cells)


def _sequential() -> list[str]:
    """Peers that can stop after any number of outcomes."""
    return [name for name in PEERS if METHODS[name].plan.designed is None]


Pair = tuple[float, float, float]


def _versus(ours: Runs, peer: Runs, readings: Sequence[str]) -> tuple[Pair, Pair, int] | None:
    shared = {n for n in ours.records if "75" in ours.records[n]["at"]} & {
        n for n in peer.records if "75" in peer.records[n]["at"]
    }
    if not shared:
        return None
    mine = ours.first(shared).errors(75)
    theirs = peer.first(shared).errors(75, readings)
    return _quantiles(mine), _quantiles(theirs), len(shared)


def _cell(runs: Runs) -> str:
    outcomes = None if METHODS[runs.method].plan.designed else 75
    errors = runs.errors(outcomes, PROPER)
    if not len(errors):
        return "-"
    told = runs.errors(outcomes, WITH_LAW)
    return f"{np.median(errors):.3f}" + (f"/{np.median(told):.3f}" if len(told) else "")


def _grid(book: Book) -> Iterator[str]:
    yield from _title("outcomes to reach the median error of a 20 x 10 grid")
    for family in ORDINARY:
        grid, ours = book.runs("grid-20x10", family), book.runs("ours", family)
        if not len(grid) or not ours.marks:
            continue
        error = float(np.median(grid.errors(None)))
        spent = float(np.median([row["spent"] for _, row in grid.snapshots(None)]))
        needed = outcomes_to_reach(ours, error)
        line = f"{family:18s} grid {spent:.0f} outcomes, error {error:.3f}; ours {_number(needed)}"
        if family in ALONE:
            least = bound(ours, error)
            ok = needed <= OF_BOUND * least
            line += f"; bound {least:.1f}  ratio {needed / least:.2f} goal {OF_BOUND}: "
            yield line + _verdict(ok)
            continue
        share, work = needed / spent, work_at(ours, needed) / grid.work(None)
        ok = share <= OF_GRID and work <= OF_GRID
        line += f"  1/{1 / share:.0f} of outcomes, 1/{1 / work:.0f} of work, goal 1/100: "
        yield line + _verdict(ok)


def _batches(book: Book) -> Iterator[str]:
    yield from _title("in flight and in rounds: outcomes for the error of one at a time")
    for name in ("ours-16", "ours-rounds"):
        for family in BATCHED:
            alone, batched = book.runs("ours", family), book.runs(name, family)
            shared = set(alone.records) & set(batched.records)
            alone, batched = alone.first(shared), batched.first(shared)
            for outcomes in (mark for mark in (30, 75) if mark in alone.marks and batched.marks):
                error = float(np.median(alone.errors(outcomes)))
                needed = outcomes_to_reach(batched, error)
                goal = f" goal {IN_FLIGHT}: {_verdict(needed <= IN_FLIGHT * outcomes)}"
                yield (
                    f"{name:12s} {family:10s} {_number(needed)} for {outcomes} "
                    f"(error {error:.3f}, n={len(shared)})  ratio {_number(needed / outcomes)}"
                    + (goal if name == "ours-16" else "")
                )


def _statuses(book: Book) -> Iterator[str]:
    yield from _title("statuses")
    right = total = 0
    for family in ODD:
        good, count = book.runs("ours-settled", family).labelled(None)
        if count:
            right, total = right + good, total + count
            ok = good >= LABELLED * count
            yield f"{family:18s} right in {good} of {count} ({good / count:.1%}): {_verdict(ok)}"
    if total:
        ok = right >= LABELLED * total
        yield f"{'together':18s} {right / total:.1%} goal {LABELLED:.0%}: {_verdict(ok)}"
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
        yield f"{line} goal {MISLABELLED:.0%}: {_verdict(ok)}"


def _timing() -> Iterator[str]:
    yield from _title("time of an ask: 2,000 points seen, 50 thresholds asked, CPU seconds")
    for name, seconds, goal in (
        ("one", timing.by_planning(1), ASK_S),
        ("batch of 16", timing.by_planning(timing.BATCH), BATCH_S),
        ("one, through Optuna", timing.by_sampler(), ASK_S),
    ):
        yield f"{name:20s} {seconds:.3f} goal {goal}: {_verdict(seconds <= goal)}"
