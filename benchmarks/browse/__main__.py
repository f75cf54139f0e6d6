"""Command line of the measurement; see the package."""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.browse.chromium import Chromium, Shown
from benchmarks.browse.pages import Times, browsed, running
from benchmarks.browse.stores import Ui, served, swept
from benchmarks.engine.goals import Line, show

SLOWER = 1.3
"""Goal: a page of the large store takes at most so many times as long as one of the small."""

SMALL_D, SMALL_N = 3, 3
DS = 10


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        large = swept(folder / "large", DS, options.cells // DS, options.repeats)
        small = swept(folder / "small", SMALL_D, SMALL_N, options.repeats)
        with (
            served(folder / "small", small) as few,
            served(folder / "large", large) as many,
        ):
            lines = asyncio.run(_measured(few, many, options))
    show(f"browsing {options.cells:,} cells beside {SMALL_D * SMALL_N}", lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.browse", description=__doc__)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=4, help="trials of a cell")
    parser.add_argument("--rounds", type=int, default=5, help="medians are shown")
    parser.add_argument("--keep", type=Path, help="make the stores here, and leave them")
    parser.add_argument("--requests", action="store_true", help="show those of the last round")
    return parser.parse_args()


async def _measured(few: Ui, many: Ui, options: argparse.Namespace) -> list[Line]:
    small: list[Times] = []
    large: list[Times] = []
    per_d = options.cells // DS
    async with Chromium() as browser:
        for _ in range(options.rounds + 1):
            small.append(await browsed(browser, few, SMALL_D * SMALL_N, SMALL_N))
            large.append(await browsed(browser, many, options.cells, per_d))
        left = await running(browser, many)
    if options.requests:
        for words, page in (("small", small[-1]), ("large", large[-1])):
            _tell(words, page)
    lines = [
        line
        for words, part in (("first page", "first"), ("a sweep's cells", "cells"),
                            ("filter on d and learner, by its address", "opened"),
                            ("filter on d and learner, typed", "filtered"))
        for line in _compared(words, [getattr(one, part) for one in small[1:]],
                              [getattr(one, part) for one in large[1:]])
    ]  # fmt: skip
    return [*lines, Line("cells listed as RUNNING", float(left), at_most=0.0)]


def _compared(words: str, small: Sequence[Shown], large: Sequence[Shown]) -> list[Line]:
    """The first round warmed the browser's cache and the servers, and is left out."""
    of_few, of_many = (median(one.seconds for one in shown) for shown in (small, large))
    errors = sum(len(one.said) for one in large)
    note = f"{of_few:.2f} s and {of_many:.2f} s" + (f", {errors} errors said" if errors else "")
    return [Line(f"{words}: of the small store's time", of_many / of_few, "x", at_most=SLOWER,
                 note=note)]  # fmt: skip


def _tell(words: str, times: Times) -> None:
    for part in ("first", "cells", "opened", "filtered"):
        print(f"\n{words}: {part}, {getattr(times, part).seconds:.2f} s")
        for one in getattr(times, part).requests:
            if "static-files" not in one.words:
                print(f"  {1e3 * (one.seconds or 0):7.0f} ms {one.bytes / 1e3:8.1f} kB {one.words}")


if __name__ == "__main__":
    main()
