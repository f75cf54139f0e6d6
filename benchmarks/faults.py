"""How long faults take to be dealt with: each goal beside what was measured, in seconds.

    python benchmarks/faults.py [--repeats 3]

Each line is the median over `--repeats`, and the worst, on an embedded Ray with one slot. There is
no peer: a goal is what a person was promised.
    worker killed to relaunched   kill -9 of a worker, until the same trials begin in another
    hang to killed                beyond the deadline, by way of hanging, until the process is gone
    Ctrl-C to exit                of `phasefront run`, while a pack trains that does not listen
    second Ctrl-C to exit         likewise, a tenth of a second after the first
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import load_source
from orchestrator.domain.point import Point
from orchestrator.domain.target import Target
from orchestrator.domain.trial import Cell, Trial
from orchestrator.engine import RayExecutor
from orchestrator.plan.facts import Pack

DEADLINE_S = 3.0
LEASE_S = 10.0
PATIENCE_S = 120.0
HANGS = ("sleep", "call", "hold", "swallow")

PLUGIN = '''
import ctypes, os, time
from typing import Literal
from orchestrator.domain.learner import Learner

class Stuck(Learner):
    """Writes down its process and never comes back."""

    kind: Literal["stuck"] = "stuck"
    how: Literal["sleep", "call", "hold", "swallow"] = "sleep"
    log: str = ""
    predicts = False
    reports = ("error",)

    def work(self, point):
        return 1.0

    def fit(self, problem, streams):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()}\\n")
        if self.how == "call":
            ctypes.CDLL(None).sleep(600)
        if self.how == "hold":
            ctypes.PyDLL(None).sleep(600)
        while True:
            try:
                time.sleep(0.1)
            except BaseException:
                if self.how != "swallow":
                    raise
'''


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    load_source("stuck", PLUGIN)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {repeats} repeats")
    print(f"{'':34}{'goal':>6}{'median':>8}{'worst':>8}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        executor = RayExecutor(None, 1, 0.0, [("stuck", PLUGIN)], lease_s=LEASE_S, pulse_s=0.5)
        try:
            _line("worker killed to relaunched", 5.0, repeats, lambda: relaunch_s(executor, home))
            for how in HANGS:
                _line(f"hang ({how}) to killed", 2.0, repeats, lambda: hang_s(executor, home, how))  # noqa: B023
        finally:
            executor.close()
        for words in ([], ["--in-process"]):
            of = f" ({words[0].strip('-')})" if words else ""
            _line(f"Ctrl-C to exit{of}", 10.0, repeats, lambda: exit_s(home, words, 1))  # noqa: B023
            _line(f"second Ctrl-C to exit{of}", 1.0, repeats, lambda: exit_s(home, words, 2))  # noqa: B023


def _line(what: str, goal_s: float, repeats: int, measured: Callable[[], float]) -> None:
    found = [measured() for _ in range(repeats)]
    print(f"{what:34}{goal_s:6.1f}{statistics.median(found):8.2f}{max(found):8.2f}", flush=True)


def relaunch_s(executor: RayExecutor, home: Path) -> float:
    """From kill -9 of a worker to the begin of the same trials in another."""
    pack, log = _pack(home, "sleep", deadline_s=PATIENCE_S)
    executor.start(pack)
    _until(executor, lambda: len(_pids(log)) == 1)
    killed = time.monotonic()
    os.kill(_pids(log)[0], signal.SIGKILL)
    while not executor.wait(0.2):
        pass
    executor.start(pack)
    _until(executor, lambda: len(_pids(log)) == 2)
    took = time.monotonic() - killed
    executor.stop(pack.id)
    _until(executor, lambda: not _runs(_pids(log)[1]))
    return took


def hang_s(executor: RayExecutor, home: Path, how: str) -> float:
    """From a pack's deadline until the process that trains it is gone."""
    pack, log = _pack(home, how, DEADLINE_S)
    executor.start(pack)
    _until(executor, lambda: bool(_pids(log)))
    began = time.monotonic()
    _until(executor, lambda: not _runs(_pids(log)[0]))
    return time.monotonic() - began - DEADLINE_S


def exit_s(home: Path, words: list[str], times: int) -> float:
    """From Ctrl-C, or from the second, until `phasefront run` has ended."""
    folder = Path(tempfile.mkdtemp(dir=home))
    log, plugin = folder / "log", folder / "stuck.py"
    plugin.write_text(PLUGIN)
    (folder / "stuck.yaml").write_text(
        "format: 1\nname: stuck\ntarget: {kind: random_labels}\n"
        f"learner: {{kind: stuck, how: call, log: {log}}}\naxes: {{d: [4], n: [8]}}\n"
        "success: {measure: error, below: 1}\nsearch: {kind: grid}\n"
    )
    program = "from orchestrator.cli import main; main()"
    place = ["--store", str(folder / "store"), "--plugins", str(plugin)]
    with subprocess.Popen(
        [sys.executable, "-c", program, "run", str(folder / "stuck.yaml"), *place, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as driver:
        while not log.exists():
            if driver.poll() is not None:
                raise RuntimeError("the driver ended by itself")
            time.sleep(0.02)
        time.sleep(0.5)
        for _ in range(times):
            time.sleep(0.1)
            asked = time.monotonic()
            driver.send_signal(signal.SIGINT)
        driver.wait()
        return time.monotonic() - asked


def _pack(home: Path, how: str, deadline_s: float) -> tuple[Pack, Path]:
    log = Path(tempfile.mkdtemp(dir=home)) / "log"
    target = Target.from_settings({"kind": "random_labels"})
    learner = Learner.from_settings({"kind": "stuck", "how": how, "log": str(log)})
    trial = Trial(Cell(target, learner, Point(d=4, n=8, k=1)), 0)
    return Pack(str(log), (trial,), {trial.key: 1}, deadline_s), log


def _pids(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def _runs(pid: int) -> bool:
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


def _until(executor: RayExecutor, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        executor.wait(0.05)
        if time.monotonic() > until:
            raise TimeoutError("waited in vain")


if __name__ == "__main__":
    main()
