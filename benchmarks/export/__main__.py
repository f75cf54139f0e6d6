"""Command line of the measurement; see the package."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.engine.goals import Line, show
from benchmarks.export.filling import filled

WITHIN_S, WITHIN_MB = 60.0, 1000.0
"""Goals for 10^6 trials; fewer are held to the same."""


def main() -> None:
    parser = argparse.ArgumentParser("benchmarks.export", description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000_000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        sweep = filled(folder / "store", trials)
        lines = [Line("ledger filled through the tracker", time.perf_counter() - began, "s")]
        for suffix in ("parquet", "csv"):
            lines += _exported(folder, sweep, suffix)
    show(f"export: {trials:,} trials", lines)


def _exported(folder: Path, sweep: str, suffix: str) -> list[Line]:
    path = folder / f"trials.{suffix}"
    program = "from orchestrator.cli import main; main()"
    words = ["export", sweep, "-o", str(path), "--store", str(folder / "store")]
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"phasefront export ended with status {child.returncode}")
    size = f"{path.stat().st_size / 1e6:,.0f} MB"
    return [
        Line(suffix, seconds, "s", at_most=WITHIN_S, note=size),
        Line(f"{suffix}: peak memory", used.ru_maxrss * 1024 / 1e6, "MB", at_most=WITHIN_MB),
    ]


if __name__ == "__main__":
    main()
