"""Measured thresholds beside known ones, and what they cost: each experiment file that ships.

    python benchmarks/known_thresholds.py                 every file, one row per threshold
    python benchmarks/known_thresholds.py cover           one file
    python benchmarks/known_thresholds.py --coverage 20   cover.yaml at 20 seeds: is 2d inside?
    python benchmarks/known_thresholds.py --kills 10      a driver killed ten times, beside one
                                                          that was left alone

The three costs, in trials: `spent` by the search; `bound`, 1 / (s^2 / 4 * variance of log n_star
reached) summed over thresholds, with s the slope in log n at n_star of the exact curve where it is
known (Cover's) and of the fitted one elsewhere; `grid`, every step of the ladder over
[n_star / 10, 10 n_star] with as many repeats as the same interval takes. The bound is that of
thresholds sought one by one: a law that joins them can do better. The goal is at most twice the
bound, and at most a tenth of the grid wherever the bound allows a tenth.
"""

import argparse
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from scipy.special import betainc
from scipy.stats import norm

from orchestrator import api
from orchestrator.answer import Answer, FoundThreshold, Heading, answer, as_json
from orchestrator.engine import InlineExecutor
from orchestrator.inference.ladder import rungs
from orchestrator.inference.threshold import Threshold
from orchestrator.ports import SweepRecord
from orchestrator.search import proposer_for
from orchestrator.sweep import Sweep
from orchestrator.tracking import MemoryTracker

EXPERIMENTS = Path(__file__).parent.parent / "experiments"
out = Console()


@dataclass(frozen=True)
class Goal:
    """A known threshold of one arm at (d, k): `n_star` within `tolerance`, relative or absolute."""

    arm: int
    d: int
    k: int
    n_star: float
    tolerance: float
    is_absolute: bool = False

    def error(self, found: float) -> float:
        """How far off, in the unit of `tolerance`."""
        off = abs(found - self.n_star)
        return off if self.is_absolute else off / self.n_star

    def words(self) -> str:
        """The goal as a person says it."""
        unit = f"± {self.tolerance:g}" if self.is_absolute else f"± {100 * self.tolerance:g}%"
        return f"{self.n_star:g} {unit}"


Exact = Callable[[int, NDArray[np.float64]], NDArray[np.float64]]


def cover(d: int, n: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(not separable) = P(Bin(n - 1, 1/2) >= d), continued to real n (Cover 1965)."""
    chance: NDArray[np.float64] = betainc(d, np.maximum(n - d, 1e-9), 0.5)
    return chance


@dataclass(frozen=True)
class Case:
    """An experiment file with overrides, and what is known about it."""

    file: str
    goals: tuple[Goal, ...]
    overrides: tuple[str, ...] = ()
    exact: Exact | None = None
    """P(success) at d and real n, where it is known in closed form."""


def _all(arm: int, k: int, tolerance: float, known: dict[int, float]) -> tuple[Goal, ...]:
    return tuple(Goal(arm, d, k, n_star, tolerance) for d, n_star in known.items())


CASES = (
    Case("cover", _all(0, 1, 0.03, {10: 20, 20: 40, 40: 80}), exact=cover),
    Case(
        "dense_parity",
        tuple(Goal(0, d, 1, d + 0.73, 1.0, is_absolute=True) for d in (16, 32, 60)),
    ),
    Case(
        "donoho_tanner",
        tuple(Goal(0, 100, k, n, 0.04) for k, n in {10: 32.2, 20: 50.1, 40: 73.9}.items()),
    ),
    Case(
        "donoho_tanner",
        tuple(Goal(0, 200, k, n, 0.04) for k, n in {20: 64.2, 40: 100.6, 80: 149.0}.items()),
        ("axes.d=[200]",),
    ),
    Case("kernel_ridge_parity", _all(0, 2, 0.06, {10: 45.9, 15: 91.8, 20: 155.2})),
    Case(
        "two_layer_parity",
        _all(0, 2, 0.25, {15: 56, 20: 67, 30: 102}) + _all(1, 2, 0.25, {15: 89, 20: 131, 30: 228}),
    ),
)


def main() -> None:
    """Run what the command line asks for; exit 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", help="names of experiment files; all by default")
    parser.add_argument("--coverage", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--kills", type=int, default=0, metavar="TIMES")
    words = parser.parse_args()
    if words.coverage:
        met = coverage(words.coverage)
    elif words.kills:
        met = kills(words.kills)
    else:
        chosen = [case for case in CASES if not words.files or case.file in words.files]
        met = sum(not measured(case) for case in chosen) == 0
    sys.exit(0 if met else 1)


def answered(file: str, overrides: tuple[str, ...]) -> Answer:
    """The answer to a shipped file, trained in this process and kept in memory."""
    spec = api.load_spec(EXPERIMENTS / f"{file}.yaml", overrides)
    tracker = MemoryTracker()
    tracker.open(SweepRecord(spec.id, spec.name, spec.canonical, "", "running", time.time()))
    sweep = Sweep(spec, tracker=tracker, executor=InlineExecutor(), proposer=proposer_for(spec))
    heading = Heading(spec.id, "finished", sweep.answer())
    return answer(spec, heading, api.rows_of(spec, tracker.members()))


def measured(case: Case) -> bool:
    """One table: thresholds beside goals, then the three costs. Whether every goal was met."""
    started = time.perf_counter()
    found = answered(case.file, case.overrides)
    seconds = time.perf_counter() - started
    title = f"{case.file} {' '.join(case.overrides)}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("arm", "d", "k", "n_star", "interval", "goal", "off by", "met"):
        table.add_column(name)
    met = [_row(table, goal, found) for goal in case.goals]
    out.print(table)
    met.append(_costs(found, seconds, case.exact))
    return all(met)


def _row(table: Table, goal: Goal, found: Answer) -> bool:
    arm = found.arms[goal.arm]
    one = next(t.threshold for t in arm.thresholds if (t.asked.d, t.asked.k) == (goal.d, goal.k))
    if one.n_star is None:
        table.add_row(arm.label, str(goal.d), str(goal.k), one.status, "", goal.words(), "", "no")
        return False
    error = goal.error(one.n_star)
    off = f"{error:.2f}" if goal.is_absolute else f"{100 * error:.1f}%"
    met = error <= goal.tolerance
    table.add_row(
        arm.label,
        str(goal.d),
        str(goal.k),
        f"{one.n_star:.1f}",
        f"{one.low:.1f} – {one.high:.1f}",
        goal.words(),
        off,
        "yes" if met else "NO",
    )
    return met


def _costs(found: Answer, seconds: float, exact: Exact | None) -> bool:
    thresholds = [t for arm in found.arms for t in arm.thresholds]
    known = [one for one in thresholds if one.threshold.status == "found"]
    bound = sum(oracle_bound(one, exact) for one in known)
    grid = sum(grid_cost(one, exact) for one in known)
    spent = found.finished_trials
    asked_tenth = 10 * bound <= grid
    met = spent <= 2 * bound and (not asked_tenth or 10 * spent <= grid)
    tenth = "" if asked_tenth else " (the bound allows no tenth)"
    out.print(
        f"trials: spent {spent}, oracle bound {bound:.0f} (ratio {spent / bound:.2f}, goal 2), "
        f"grid {grid:.0f} (1/{grid / spent:.1f}, goal 1/10{tenth}); {seconds:.0f} s; "
        f"{'met' if met else 'NOT met'}; stopped by {found.stopped_by}\n",
        soft_wrap=True,
    )
    return met


def information(
    found: FoundThreshold, n: Sequence[float], exact: Exact | None
) -> NDArray[np.float64]:
    """Fisher information on log n_star of one trial at each n: (dP / d log n)^2 / (P (1 - P)).

    At the middle of a curve of slope s in log n that is s^2 / 4. P is the exact curve where it is
    known, else the fitted one; the step of the derivative is a fiftieth of the transition from 10%
    to 90%.
    """
    assert found.threshold.n10_n90 is not None
    low, high = found.threshold.n10_n90
    step = math.log(high / low) / 50
    at = np.asarray(n, float)
    below, middle, above = (
        exact(found.asked.d, at * math.exp(move))
        if exact
        else np.asarray(found.curve(list(at * math.exp(move)))[0])
        for move in (-step, 0.0, step)
    )
    told: NDArray[np.float64] = ((above - below) / (2 * step)) ** 2 / np.maximum(
        middle * (1 - middle), 1e-12
    )
    return told


def variance(one: Threshold) -> float:
    """Variance of log n_star that the interval speaks of."""
    assert one.low is not None
    assert one.high is not None
    z = float(norm.ppf(0.5 + one.confidence / 2))
    return (math.log(one.high / one.low) / (2 * z)) ** 2


def oracle_bound(found: FoundThreshold, exact: Exact | None) -> float:
    """Trials that someone who knew the curve would need, all at its middle: 4 / (s^2 variance)."""
    assert found.threshold.n_star is not None
    return 1.0 / (
        float(information(found, [found.threshold.n_star], exact)[0]) * variance(found.threshold)
    )


def grid_cost(found: FoundThreshold, exact: Exact | None) -> float:
    """Trials of a grid over [n_star / 10, 10 n_star] for the same variance, whole repeats."""
    one = found.threshold
    assert one.n_star is not None
    steps = rungs(max(1, math.ceil(one.n_star / 10)), math.floor(10 * one.n_star))
    told = float(np.sum(information(found, steps.astype(float).tolist(), exact)))
    return len(steps) * math.ceil(1.0 / (told * variance(one)))


def coverage(seeds: int) -> bool:
    """How often the interval of cover.yaml holds 2d, over seeds; goal: 16 of 20 at every d."""
    inside: dict[int, int] = {}
    within: dict[int, int] = {}
    for seed in range(seeds):
        found = answered("cover", (f"seed={seed}",))
        for one in (t.threshold for t in found.arms[0].thresholds):
            if one.n_star is None or one.low is None or one.high is None:
                continue
            truth = 2 * one.d
            inside[one.d] = inside.get(one.d, 0) + (one.low <= truth <= one.high)
            within[one.d] = within.get(one.d, 0) + (abs(one.n_star / truth - 1) <= 0.03)
        out.print(f"seed {seed}: inside so far {inside}, {found.finished_trials} trials")
    goal = math.ceil(0.8 * seeds)
    for d in sorted(inside):
        out.print(
            f"d = {d}: {inside[d]} of {seeds} intervals contain 2d (goal {goal}); "
            f"{within[d]} of {seeds} n_star within 3%"
        )
    return all(count >= goal for count in inside.values())


def kills(times: int) -> bool:
    """Kill the driver (`kill -9`) at random moments and run again; compare with one left alone."""
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as store, tempfile.TemporaryDirectory() as alone:
        for number in range(times):
            delay_s = chance.uniform(0.0, 4.0)
            out.print(
                f"kill {number + 1}, {delay_s:.1f} s into training: {_killed(store, delay_s)}"
            )
        first = _finished(store)
        second = _finished(alone)
        return _compare(first, second)


def _command(store: str) -> list[str]:
    file = str(EXPERIMENTS / "two_layer_parity.yaml")
    program = "from orchestrator.cli import main; main()"
    return [sys.executable, "-c", program, "run", file, "--store", store]


def _killed(store: str, delay_s: float) -> str:
    """Start a driver, wait until it commits something new, then `delay_s`, then kill it."""
    before = _committed(store)
    driver = subprocess.Popen(_command(store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while driver.poll() is None and _committed(store) <= before:
        time.sleep(0.2)
    time.sleep(delay_s)
    if driver.poll() is not None:
        return f"had ended with {driver.returncode}"
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    return f"{_committed(store)} trials committed"


def _committed(store: str) -> int:
    return sum(
        member.state == "done"
        for record in api.sweeps(api.Place(store))
        for member in api.sweep_and_members(record.id, api.Place(store))[1]
    )


def _finished(store: str) -> Answer:
    done = subprocess.run(_command(store), capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"the last run failed with {done.returncode}: {done.stderr}")
    (record,) = api.sweeps(api.Place(store))
    return api.open_sweep(record.id, api.Place(store))


def _compare(first: Answer, second: Answer) -> bool:
    same_trials = _results(first) == _results(second)
    same_thresholds = as_json(first)["arms"] == as_json(second)["arms"]
    keys = [row.key for row in first.rows]
    once = len(keys) == len(set(keys))
    checks: dict[str, bool] = {
        f"every trial committed once ({len(keys)} of them)": once,
        "trials equal to the uninterrupted run, bit for bit": same_trials,
        "thresholds equal to the uninterrupted run": same_thresholds,
        "nothing waiting or lost": first.gaps == 0 and first.status == "finished",
    }
    for words, held in checks.items():
        out.print(f"{'yes' if held else 'NO '}  {words}")
    return all(checks.values())


def _results(found: Answer) -> dict[str, object]:
    return {row.key: (row.outcome, dict(row.measures)) for row in found.rows}


if __name__ == "__main__":
    main()
