"""The part of the table that sets our outcomes beside those of peers, of a grid, and of batches."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.search.families import ALONE, ORDINARY
from benchmarks.search.registry import BATCHED, METHODS, PEERS, SLOW_PROBLEMS
from benchmarks.search.scores import Book, Runs, bound, outcomes_to_reach, work_at
from benchmarks.search.wording import number, quantiles, title, verdict

PROPER, WITH_LAW = ("x", "fit"), ("joint",)
"""Readings of a peer: its own and a logistic fit per threshold; and, apart, a regression by someone
who knows that the law is a power."""

OF_BEST_PEER, OF_GRID, OF_BOUND, IN_FLIGHT = 0.25, 0.01, 2.0, 1.3
"""Goals: at most these shares of the best peer's errors and of the grid's outcomes and work, and
multiples of the bound and of the outcomes that one at a time needs."""


def against_peers(book: Book) -> Iterator[str]:
    yield from title("against the best peer after 75 outcomes (the best of its readings)")
    yield "ours and the peer on the problems that both have: median / 90th percentile"
    yield f"a peer counts from {SLOW_PROBLEMS} problems on: on fewer the best is the luckiest"
    for family in ORDINARY:
        peers = [book.runs(name, family) for name in PEERS if METHODS[name].plan.designed is None]
        yield from best_peer(family, book.runs("ours", family), peers)
    yield from _every_peer(book)


def best_peer(family: str, ours: Runs, peers: Sequence[Runs]) -> Iterator[str]:
    """Lines on the peer of least median error, and on that of the least 90th percentile."""
    pairs = [_shared(ours, peer, 75) for peer in peers]
    found = [(own, peer) for own, peer in pairs if len(peer) >= SLOW_PROBLEMS]
    most = 1.0 if family in ALONE else OF_BEST_PEER
    for at, word in enumerate(("median", "90th") if found else ()):
        errors = [
            (quantiles(peer.errors(75, PROPER))[at], quantiles(own.errors(75))[at], peer)
            for own, peer in found
        ]
        theirs, mine, peer = min(errors, key=lambda row: row[0])
        yield (
            f"{'' if at else family:18s} {word:6s} {mine:.3f} {theirs:.3f} {peer.method} "
            f"n={len(peer)}  ratio {mine / theirs:.2f} goal {most}: "
            f"{verdict(mine <= most * theirs)}"
        )


def _every_peer(book: Book) -> Iterator[str]:
    yield ""
    yield "every peer: median error after 75 outcomes, of a grid after all of its own;"
    yield "by the readings of single thresholds / when told that the law is a power"
    yield f"{'':18s} " + " ".join(f"{name:>13s}" for name in PEERS)
    count = [max(len(book.runs(name, family)) for family in ORDINARY) for name in PEERS]
    yield f"{'problems, at most':18s} " + " ".join(f"{problems:13d}" for problems in count)
    for family in ORDINARY:
        cells = [_cell(book.runs(name, family)) for name in PEERS]
        if any(cell != "-" for cell in cells):
            yield f"{family:18s} " + " ".join(f"{cell:>13s}" for cell in cells)


def _cell(runs: Runs) -> str:
    outcomes = None if METHODS[runs.method].plan.designed else 75
    errors = runs.errors(outcomes, PROPER)
    if not len(errors):
        return "-"
    told = runs.errors(outcomes, WITH_LAW)
    return f"{np.median(errors):.3f}" + (f"/{np.median(told):.3f}" if len(told) else "")


def against_the_grid(book: Book) -> Iterator[str]:
    yield from title("outcomes to reach the median error of a 20 x 10 grid, on the same problems")
    yield "oracle: what it needs, choosing itself; bound: Cramér-Rao, for trials at the crossing"
    for family in ORDINARY:
        grid, ours = _shared(book.runs("grid-20x10", family), book.runs("ours", family))
        if not len(grid):
            continue
        oracle = book.runs("oracle", family).first(set(grid.records))
        error = float(np.median(grid.errors(None)))
        spent = float(np.median([row["spent"] for _, row in grid.snapshots(None)]))
        needed = outcomes_to_reach(ours, error)
        line = f"{family:18s} grid {spent:.0f}, error {error:.3f}; ours {number(needed)}, oracle "
        line += number(outcomes_to_reach(oracle, error) if len(oracle) else math.nan)
        if family in ALONE:
            least = bound(ours, error)
            ok = needed <= OF_BOUND * least
            line += f", bound {least:.1f}: ratio {number(needed / least)} goal {OF_BOUND}"
        else:
            share, work = needed / spent, work_at(ours, needed) / grid.work(None)
            ok = share <= OF_GRID and work <= OF_GRID
            line += f": {_part(share)} of outcomes, {_part(work)} of work, goal {_part(OF_GRID)}"
        yield f"{line}: {verdict(ok)}  n={len(grid)}"


def _part(share: float) -> str:
    return f"1/{1 / share:.0f}" if math.isfinite(share) else "-"


def _shared(one: Runs, other: Runs, outcomes: int | None = None) -> tuple[Runs, Runs]:
    """Both on the problems that both have, and have after so many outcomes."""
    both = _numbers(one, outcomes) & _numbers(other, outcomes)
    return one.first(both), other.first(both)


def _numbers(runs: Runs, outcomes: int | None) -> set[int]:
    return {n for n, row in runs.records.items() if outcomes is None or str(outcomes) in row["at"]}


def in_batches(book: Book) -> Iterator[str]:
    yield from title("in flight and in rounds: outcomes for the error of one at a time")
    for name in ("ours-16", "ours-rounds"):
        for family in BATCHED:
            alone, batched = _shared(book.runs("ours", family), book.runs(name, family))
            for outcomes in (mark for mark in (30, 75) if mark in alone.marks and batched.marks):
                error = float(np.median(alone.errors(outcomes)))
                needed = outcomes_to_reach(batched, error)
                goal = f" goal {IN_FLIGHT}: {verdict(needed <= IN_FLIGHT * outcomes)}"
                yield (
                    f"{name:12s} {family:10s} {number(needed)} for {outcomes} "
                    f"(error {error:.3f}, n={len(alone)})  ratio {number(needed / outcomes)}"
                    + (goal if name == "ours-16" else "")
                )
