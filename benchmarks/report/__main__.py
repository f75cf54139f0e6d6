"""Command line of the benchmark; see the package."""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.engine.goals import Line, show
from benchmarks.report.chromium import SCROLL, open_page
from benchmarks.report.simulated import simulated
from orchestrator.report import page

MOST_MB = 8.0
MOST_S = 3.0
IDLE = """new Promise((told) => setTimeout(() => {
  const ends = longTasks.map(([start, length]) => start + length);
  told(Math.max(0, ...ends));
}, 1000))"""
"""When the last task of more than 50 ms ended, in ms since the page was asked for."""


@dataclass(frozen=True)
class Opened:
    """One opening of the page, in seconds since it was asked for."""

    first: float
    idle: float
    slowest: float
    said: list[str]
    asked: list[str]


def main() -> None:
    options = _options()
    began = time.perf_counter()
    found = simulated(options.trials, options.dimensions)
    fitted = time.perf_counter()
    text = page(found)
    written = time.perf_counter()
    cells = {(row.arm, row.point) for row in found.rows}
    print(f"{len(found.rows):,} trials in {len(cells):,} cells; fitted in {fitted - began:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        runs = [opened(path, Path(folder) / str(run)) for run in range(options.rounds)]
        megabytes = path.stat().st_size / 1e6
    said = sorted({line for run in runs for line in run.said})
    asked = sorted({address for run in runs for address in run.asked})
    first, idle, slowest = (
        median(getattr(run, name) for run in runs) for name in ("first", "idle", "slowest")
    )
    lines = [
        Line("page written", written - fitted, "s"),
        Line("size of the page", megabytes, "MB", at_most=MOST_MB),
        Line("first graph drawn", first, "s", at_most=MOST_S),
        Line("interactive: drawn and the browser idle", idle, "s", at_most=MOST_S),
        Line("slowest graph, once scrolled to", slowest, "s"),
        Line("lines on the console", len(said), at_most=0),
        Line("requests to anywhere", len(asked), at_most=0),
    ]
    show("the report page in headless Chromium", lines)
    for line in (*said, *asked):
        print("   ", line[:200])


def opened(path: Path, folder: Path) -> Opened:
    """Open the page in a fresh browser and wait until it has done all it does by itself."""
    folder.mkdir()
    with open_page(folder) as page:
        page.go(path.as_uri())
        page.wait("document.documentElement.dataset.first")
        first = float(page.ask("document.documentElement.dataset.first")) / 1000
        idle = float(page.ask(IDLE)) / 1000
        slowest = float(page.ask(SCROLL)) / 1000
        beside = [one for one in page.asked if not one.startswith(("data:", "blob:", "file:"))]
        return Opened(first, max(first, idle), slowest, page.said, beside)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.report", description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=6, help="number of d, each at two k")
    parser.add_argument("--rounds", type=int, default=3, help="openings; medians are shown")
    return parser.parse_args()


if __name__ == "__main__":
    main()
