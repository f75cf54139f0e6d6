"""What threshold search spends, beside the least possible and beside a grid. Prints a table.

Success curves known in closed form stand in for learners, so that truth is exact and a sweep takes
seconds: Cover's count of separable dichotomies (1965), the rank of random matrices over GF(2),
logistic curves, and a jump between two integers. Each sweep runs in rounds as the product's loop
does: a round is designed while the previous one is still out.

spent    trials until every threshold is settled
oracle   sum over thresholds of 1 / (s^2 / 4 * variance reached), s the slope in log n: what a
         method that knows all but the threshold would need for the same intervals, cell by cell
grid     trials of a grid over [n*/10, 10 n*], every step of the ladder, repeats for the same width
error    root mean square of log n_star - truth; in units of the tolerance's sd in brackets
covered  share of intervals that contain the truth

    python -m benchmarks.search.closed_form --seeds 10
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm

from orchestrator.inference import design, psychometric
from orchestrator.inference.ladder import rungs
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Asked, Choice, Tally, Threshold

Curve = Callable[[int, int], float]
LEVEL, CONFIDENCE = 0.5, 0.95
Z = float(norm.ppf((1 + CONFIDENCE) / 2))


def cover(d: int, n: int) -> float:
    """Chance that n labelled points in d dimensions are not separable by a hyperplane through 0."""
    return float(binom.sf(d - 1, n - 1, 0.5))


def full_rank(d: int, n: int) -> float:
    """Chance that a random n x d matrix over GF(2) has rank d."""
    return float(np.prod(1 - 2.0 ** (np.arange(d) - n))) if n >= d else 0.0


def logistic(slope: float, factor: float, exponent: float) -> Curve:
    return lambda d, n: 1 / (1 + (factor * d**exponent / n) ** slope)


def jump(d: int, n: int) -> float:
    return float(n >= d)


@dataclass(frozen=True)
class System:
    """Curves of one sweep, the ranges asked (as multiples of d), and the tolerance."""

    name: str
    curve: Curve
    dimensions: tuple[int, ...]
    low: float
    high: float
    tolerance: float

    def asked(self) -> list[Asked]:
        """The thresholds asked, one per dimension."""
        return [
            Asked(d, 1, max(1, round(self.low * d)), round(self.high * d)) for d in self.dimensions
        ]


SYSTEMS = (
    System("Cover", cover, (10, 20, 40), 0.5, 8, 0.025),
    System("Cover, wide range", cover, (10, 20, 40), 0.1, 50, 0.025),
    System("Cover, one threshold", cover, (20,), 0.1, 50, 0.025),
    System("GF(2) rank", full_rank, (16, 32, 60), 0.5, 4, 0.025),
    System("GF(2) rank, wide range", full_rank, (16, 32, 60), 0.1, 20, 0.025),
    System("logistic, slope 4", logistic(4, 3, 1), (10, 20, 40), 0.1, 50, 0.05),
    System("logistic, slope 8, d^2", logistic(8, 0.5, 2), (10, 20, 40), 0.1, 200, 0.05),
    System("logistic, slope 20", logistic(20, 1, 1.5), (10, 20, 40, 80), 0.1, 50, 0.05),
    System("jump at d", jump, (10, 20, 40), 0.1, 10, 0.05),
)


@dataclass(frozen=True)
class Sweep:
    """One simulated sweep: trials spent, rounds, its thresholds, and CPU seconds per round."""

    spent: int
    rounds: int
    thresholds: tuple[Threshold, ...]
    seconds: float


def sweep(system: System, seed: int, round_trials: int = 32, most_rounds: int = 400) -> Sweep:
    """Search until settled; round r is designed with rounds up to r-2, round r-1 pending."""
    rng, asked = np.random.default_rng([seed, 0x5EED]), system.asked()
    counts: dict[tuple[int, int], tuple[int, int]] = {}
    pending: list[Choice] = []
    started = time.process_time()
    rounds = 0
    for rounds in range(1, most_rounds + 1):  # noqa: B007 - counts what was done
        chosen = _propose(system, asked, counts, pending, round_trials)
        _answer(system, counts, pending, rng)
        if not chosen:
            break
        pending = chosen
    posterior = _fit(system, asked, counts)
    return Sweep(
        spent=sum(trials for _, trials in counts.values()),
        rounds=rounds - 1,
        thresholds=tuple(posterior.threshold(i) for i in range(len(asked))),
        seconds=(time.process_time() - started) / rounds,
    )


def _propose(
    system: System,
    asked: Sequence[Asked],
    counts: dict[tuple[int, int], tuple[int, int]],
    pending: Sequence[Choice],
    trials: int,
) -> list[Choice]:
    posterior = _fit(system, asked, counts)
    return design.choose(
        posterior,
        asked,
        posterior.tallies,
        pending,
        trials=trials,
        work=lambda d, n, k: 1.0,
        tolerance=system.tolerance,
    )


def _fit(
    system: System, asked: Sequence[Asked], counts: dict[tuple[int, int], tuple[int, int]]
) -> Posterior:
    tallies = [Tally(d, 1, n, s, t) for (d, n), (s, t) in counts.items()]
    return psychometric.fit(
        asked, tallies, level=LEVEL, confidence=CONFIDENCE, tolerance=system.tolerance
    )


def _answer(
    system: System,
    counts: dict[tuple[int, int], tuple[int, int]],
    pending: Sequence[Choice],
    rng: np.random.Generator,
) -> None:
    for choice in pending:
        successes, trials = counts.get((choice.d, choice.n), (0, 0))
        new = int(rng.binomial(choice.repeats, system.curve(choice.d, choice.n)))
        counts[choice.d, choice.n] = successes + new, trials + choice.repeats


def crossing(curve: Curve, d: int, top: int) -> tuple[float, int]:
    """Where success crosses the level, linear in log n between integers, and the lower integer."""
    after = next(n for n in range(2, top) if curve(d, n) >= LEVEL)
    before, low, high = after - 1, curve(d, after - 1), curve(d, after)
    share = (LEVEL - low) / (high - low)
    return before * (after / before) ** share, before


def slope(curve: Curve, d: int, before: int) -> float:
    """s: four times the derivative of success in log n across the integer step of the crossing."""
    return 4 * (curve(d, before + 1) - curve(d, before)) / math.log((before + 1) / before)


def grid_trials(curve: Curve, d: int, n_star: float, spread: float) -> float:
    """Trials of a grid over [n*/10, 10 n*] whose information reaches a standard deviation."""
    ladder = rungs(max(1, round(n_star / 10)), round(10 * n_star))
    information = 0.0
    for n in ladder.tolist():
        chance = curve(d, n)
        if 1e-9 < chance < 1 - 1e-9:
            rate = (curve(d, n + 1) - curve(d, max(n - 1, 1))) / math.log((n + 1) / max(n - 1, 1))
            information += rate**2 / (chance * (1 - chance))
    return len(ladder) * max(1.0, 1 / (information * spread**2))


@dataclass(frozen=True)
class Line:
    """One sweep judged against the truth."""

    spent: int
    oracle: float
    grid: float
    errors: tuple[float, ...]
    covered: tuple[bool, ...]
    rounds: int
    seconds: float


def judge(system: System, seed: int) -> Line:
    """Run one sweep and compare it with the truth, the oracle and the grid."""
    result = sweep(system, seed)
    oracle, grid = 0.0, 0.0
    errors: list[float] = []
    covered: list[bool] = []
    for ask, found in zip(system.asked(), result.thresholds, strict=True):
        n_star, before = crossing(system.curve, ask.d, 10 * ask.high)
        if found.n_star is None or found.low is None or found.high is None:
            errors, covered = [*errors, math.nan], [*covered, False]
            continue
        stepped = system.curve(ask.d, before + 1) - system.curve(ask.d, before) > 1 - 1e-9
        if stepped:  # any value within the step is right
            n_star = min(max(found.n_star, before), before + 1)
        else:
            spread = (math.log(found.high) - math.log(found.low)) / (2 * Z)
            oracle += 4 / (slope(system.curve, ask.d, before) * spread) ** 2
            grid += grid_trials(system.curve, ask.d, n_star, spread)
        errors.append(math.log(found.n_star / n_star))
        covered.append(found.low <= n_star <= found.high)
    return Line(
        result.spent, oracle, grid, tuple(errors), tuple(covered), result.rounds, result.seconds
    )


def report(system: System, lines: Sequence[Line]) -> str:
    """One row of the table."""
    spent = np.mean([line.spent for line in lines])
    oracle, grid = np.mean([line.oracle for line in lines]), np.mean([line.grid for line in lines])
    errors = np.array([line.errors for line in lines])
    rms = float(np.sqrt(np.nanmean(errors**2)))
    covered = float(np.mean([line.covered for line in lines]))
    beside = (
        f"{oracle:7.0f} {spent / oracle:7.2f} {grid:7.0f} {grid / spent:7.1f} {grid / oracle:7.1f}"
        if oracle
        else f"{'-':>7} {'-':>7} {'-':>7} {'-':>7} {'-':>7}"
    )
    return (
        f"{system.name:24s} {spent:6.0f} {beside}  {rms:6.4f} ({rms * Z / system.tolerance:4.2f})"
        f"  {covered:6.1%}  {np.mean([line.rounds for line in lines]):5.1f}"
        f"  {np.mean([line.seconds for line in lines]):5.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="sweeps per system")
    parser.add_argument("--only", default="", help="part of a system's name")
    options = parser.parse_args()
    print(
        f"{'system':24s} {'spent':>6} {'oracle':>7} {'spent/o':>7} {'grid':>7} {'grid/s':>7}"
        f" {'grid/o':>7}  {'error':>13}  {'covered':>7}  {'rounds':>6}  s/round"
    )
    for system in SYSTEMS:
        if options.only.lower() in system.name.lower():
            print(
                report(system, [judge(system, seed) for seed in range(options.seeds)]), flush=True
            )


if __name__ == "__main__":
    main()
