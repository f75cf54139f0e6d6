"""Command line; see the package."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

import argparse
import sys
from pathlib import Path

from benchmarks.known_thresholds import table
from benchmarks.known_thresholds.costs import judged
from benchmarks.known_thresholds.coverage import coverage
from benchmarks.known_thresholds.kills import kills
from benchmarks.known_thresholds.records import RECORDS, Records
from benchmarks.known_thresholds.runs import Runner
from benchmarks.known_thresholds.systems import SYSTEMS

SEEDS = 5
"""Searches whose costs are averaged: those of one scatter by a fifth. Chosen by hand."""


def main() -> None:
    """Do what the command line asks for; exit 1 when a goal is missed."""
    words = _words()
    if words.coverage:
        met = coverage(words.coverage)
    elif words.kills:
        met = kills(words.kills)
    else:
        runner = Runner(Records(words.records), trains=not words.table, whole=words.whole)
        met = compare(words.systems or list(SYSTEMS), runner, words.seeds)
    sys.exit(0 if met else 1)


def compare(names: list[str], runner: Runner, seeds: int) -> bool:
    """Train what is missing of these systems, then print; whether every goal was met."""
    done = []
    for name in names:
        try:
            runs = runner.runs(SYSTEMS[name], seeds)
        except LookupError as missing:
            print(missing, file=sys.stderr)
            continue
        rows = judged(SYSTEMS[name], runs)
        table.thresholds(SYSTEMS[name], rows)
        done.append((SYSTEMS[name], rows, runs))
    return table.side_by_side(done) and len(done) == len(names)


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.known_thresholds", description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="searches of every experiment")
    parser.add_argument("--whole", action="store_true", help="all repeats of every grid")
    parser.add_argument("--table", action="store_true", help="train nothing, print what there is")
    parser.add_argument("--records", type=Path, default=RECORDS, help="folder of what was trained")
    parser.add_argument("--coverage", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--kills", type=int, default=0, metavar="TIMES")
    words = parser.parse_args()
    if unknown := set(words.systems) - set(SYSTEMS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(SYSTEMS)}")
    return words


if __name__ == "__main__":
    main()
