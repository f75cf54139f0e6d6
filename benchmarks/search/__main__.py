"""Command line of the suite; see the package."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is loaded, here and in children

import argparse
import sys
import time
from pathlib import Path

from benchmarks.search import table
from benchmarks.search.families import FAMILIES
from benchmarks.search.registry import METHODS
from benchmarks.search.results import RESULTS, Results
from benchmarks.search.runner import missing, run

QUICK_PROBLEMS, QUICK_OUTCOMES, QUICK_MINUTES = 12, 75, 13.0
"""A quick run does what it can of this, all methods and families in step; minutes on two cores."""


def main() -> None:
    options = _options()
    results = Results(options.results)
    if not options.table:
        jobs = missing(
            results, options.methods, options.families, options.problems, options.outcomes
        )
        until = None if options.minutes is None else time.monotonic() + 60 * options.minutes
        started, done = time.monotonic(), 0
        for done, (job, _) in enumerate(run(jobs, results, options.jobs, until), 1):
            spent = time.monotonic() - started
            line = f"{done}/{len(jobs)} {spent:.0f} s  {job.method} {job.family} {job.number}"
            print(line, file=sys.stderr, flush=True)
        if done < len(jobs):
            print(f"{len(jobs) - done} of {len(jobs)} runs left for want of time", file=sys.stderr)
    print(table.table(results, with_timing=not options.no_timing))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.search", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="end within 15 minutes on two cores")
    parser.add_argument("--table", action="store_true", help="run nothing, print what there is")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, help="all, slow peers not if quick"
    )
    parser.add_argument("--problems", type=int, help="problems per family, at most")
    parser.add_argument("--outcomes", type=int, help="outcomes per problem, at most")
    parser.add_argument("--minutes", type=float, help="begin nothing after this long")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="processes")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    parser.add_argument("--no-timing", action="store_true", help="do not time an ask")
    options = parser.parse_args()
    if options.methods is None:
        options.methods = [m.name for m in METHODS.values() if not (options.quick and m.kept)]
    if options.quick:
        options.problems = options.problems or QUICK_PROBLEMS
        options.outcomes = options.outcomes or QUICK_OUTCOMES
        options.minutes = options.minutes or QUICK_MINUTES
    return options


if __name__ == "__main__":
    main()
