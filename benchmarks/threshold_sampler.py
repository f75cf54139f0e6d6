"""Search efficiency: 16 thresholds from few 0/1 outcomes, `ThresholdSampler` against a plain fit.

    python benchmarks/threshold_sampler.py [--problems 12] [--outcomes 75] [--planted]

The test bed: d at 16 values log-spaced from 10 to 300; with z = log d standardised over them,
log n* = log 2.3 + 1.5 log d + u + v z, u ~ N(0, 0.7^2), v ~ N(0, 0.4^2); success has probability
q + (1 - 2 q) Phi(s (log n - log n*)) with s = 4 exp(N(0, 0.3^2)) and q = 1%; n from 5 to 100,000.
`--planted` sets the first of the first five outcomes with |s (log n - log n*)| > 2 to the wrong
value. The error of a problem is the root mean square over the 16 of log n* found minus true, in
nats, both clipped to the range of n.

The peer has the same number of outcomes and knows that the law is a power: d and log n at random,
then one logistic regression of success on (log d, log n) by scikit-learn.

Prints a table. Run it beside other figures only: CPU milliseconds depend on the machine.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression

from orchestrator.search import ThresholdSampler

Array = NDArray[np.float64]

DS = [round(d) for d in np.geomspace(10, 300, 16)]
LOW, HIGH = 5, 100_000


@dataclass
class Problem:
    """One draw of the test bed; outcomes follow from its seed and the trial's number."""

    seed: int
    planted: bool

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.seed, 0])
        log_d = np.log(DS)
        z = (log_d - log_d.mean()) / log_d.std()
        u, v = rng.normal(0, 0.7), rng.normal(0, 0.4)
        self.log_n_star: Array = np.log(2.3) + 1.5 * log_d + u + v * z
        self.slope = 4 * np.exp(rng.normal(0, 0.3))
        self.is_wrong_yet = not self.planted

    def outcome(self, number: int, d: int, n: int) -> float:
        """0 or 1."""
        at = self.slope * (np.log(n) - self.log_n_star[DS.index(d)])
        luck = np.random.default_rng([self.seed, 1, number]).random()
        result = float(luck < 0.01 + 0.98 * ndtr(at))
        if not self.is_wrong_yet and number < 5 and abs(at) > 2:
            self.is_wrong_yet = True
            return float(at < 0)
        return result


@dataclass(frozen=True)
class Found:
    """log n* and its interval for each d (16,), and CPU seconds per suggestion."""

    log_n_star: Array
    low: Array
    high: Array
    seconds: float


def by_sampler(problem: Problem, outcomes: int) -> Found:
    sampler = ThresholdSampler(n="n", context=["d"], level=0.5, seed=problem.seed)
    study = optuna.create_study(sampler=sampler)
    spent = 0.0
    for _ in range(outcomes):
        started = time.process_time()
        trial = study.ask()
        d = trial.suggest_categorical("d", DS)
        n = trial.suggest_int("n", LOW, HIGH, log=True)
        spent += time.process_time() - started
        study.tell(trial, problem.outcome(trial.number, d, n))
    found = sampler.thresholds(study)
    middle = [t.n_star or {"above_range": HIGH, "below_range": LOW}.get(t.status) for t in found]
    values = np.array([middle, [t.low for t in found], [t.high for t in found]], dtype=np.float64)
    log_n_star, low, high = np.log(values)
    return Found(log_n_star, low, high, spent / outcomes)


def by_regression(problem: Problem, outcomes: int) -> Found:
    rng = np.random.default_rng([problem.seed, 2])
    started = time.process_time()
    d = rng.choice(DS, outcomes)
    log_n = rng.uniform(np.log(LOW), np.log(HIGH), outcomes)
    spent = time.process_time() - started
    y = [problem.outcome(i, int(d[i]), round(np.exp(log_n[i]))) for i in range(outcomes)]
    x = np.column_stack([np.log(d), log_n])
    fit = LogisticRegression(C=1e3, max_iter=10_000).fit(x, y)
    by_d, by_n = fit.coef_[0]
    log_n_star = -(fit.intercept_[0] + by_d * np.log(DS)) / by_n
    nothing = np.full(len(DS), np.nan)
    return Found(log_n_star, nothing, nothing, spent / outcomes)


def row(
    name: str, method: Callable[[Problem, int], Found], seeds: range, outcomes: int, planted: bool
) -> str:
    errors, covered, seconds, unknown = [], [], [], 0
    for seed in seeds:
        problem = Problem(seed, planted)
        found = method(problem, outcomes)
        ends = np.log([LOW, HIGH])
        gap = np.clip(found.log_n_star, *ends) - np.clip(problem.log_n_star, *ends)
        unknown += int(np.isnan(gap).sum())
        errors.append(np.sqrt(np.nanmean(gap**2)))
        has = ~np.isnan(found.low) & ~np.isnan(found.high)
        inside = (found.low <= problem.log_n_star) & (problem.log_n_star <= found.high)
        covered += inside[has].tolist()
        seconds.append(found.seconds)
    coverage = f"{100 * np.mean(covered):.0f}%" if covered else "-"
    return (
        f"{name:34} {np.median(errors):7.3f} {np.quantile(errors, 0.9):9.3f} {coverage:>9} "
        f"{unknown:8d} {1e3 * np.mean(seconds):12.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--outcomes", type=int, default=75)
    parser.add_argument("--planted", action="store_true")
    words = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(words.problems)
    print(f"{words.problems} problems, {words.outcomes} outcomes, planted: {words.planted}")
    columns = f"{'median':>7} {'90th pct':>9} {'coverage':>9} {'unknown':>8} {'CPU ms/ask':>12}"
    print(f"{'method':34} {columns}")
    for name, method in (
        ("ThresholdSampler", by_sampler),
        ("random points, logistic regression", by_regression),
    ):
        print(row(name, method, seeds, words.outcomes, words.planted), flush=True)


if __name__ == "__main__":
    main()
