"""Laws from simulated outcomes beside the goals: do intervals cover, are families named rightly?

A problem is a law drawn at random from one family, thresholds that follow it (and stray by
`--scatter` nats), success curves of one form drawn from the model's own (link and lapses) whose
slope grows with d, and 0/1 outcomes: 12 to 24 near each threshold, or with `--search` those that
the adaptive search asks for. The outcomes alone go to `psychometric.fit` and `laws_of`, as in a
sweep.

covered   share of 95% intervals of the true family's exponents that contain the truth
width     their median width
forecast  share of 95% intervals that contain n_star at a (d, k) beyond those run: d half as large
          again as the largest
right, open, wrong   share of problems whose family is named, not decided, or misnamed

    python -m benchmarks.laws [--problems 100] [--scatter 0.02] [--search] [--only power]
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import binom

from orchestrator.inference import design, psychometric
from orchestrator.inference.ladder import rungs
from orchestrator.inference.law import laws_of
from orchestrator.inference.link import FORMS, Form, chances
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.prior import OWN_SLOPE_SD
from orchestrator.inference.threshold import Asked, Choice, Tally

Array = NDArray[np.float64]
Cells = tuple[tuple[int, int], ...]
Exponents = dict[str, float]
Drawn = tuple[Callable[[Array, Array], Array], Exponents]

LEVEL, CONFIDENCE, TOLERANCE = 0.5, 0.95, 0.05
ALONG_D: Cells = tuple((d, 1) for d in (8, 14, 25, 45, 80, 140))
ALONG_BOTH: Cells = tuple((d, k) for d in (8, 14, 25, 45) for k in (2, 3, 4))
OUTCOMES = (12, 24)
"""Fewest and most outcomes per threshold of the fixed design."""
BRACKET = (-1.5, -1.0, 1.0, 1.5)
"""Where the fixed design has an outcome each far from the threshold, nats."""
SLOPES = (3.0, 40.0)
"""Least and most slope in log n of a problem's typical curve: from nets to GF(2) rank."""
MOST = 1500
"""Outcomes a search may ask for."""


def constant(rng: np.random.Generator, cells: Cells) -> Drawn:
    level = math.log(rng.uniform(20, 200))
    return lambda d, k: np.full(len(d), level), {}


def power(rng: np.random.Generator, cells: Cells) -> Drawn:
    level, a, b = math.log(rng.uniform(3, 10)), rng.uniform(0.5, 2), rng.uniform(0.5, 2)
    return lambda d, k: level + a * np.log(d) + b * np.log(k), _letters(cells, a, b)


def power_log(rng: np.random.Generator, cells: Cells) -> Drawn:
    plain, exponents = power(rng, cells)
    return lambda d, k: plain(d, k) + np.log(np.log(d)), exponents


def power_in_k(rng: np.random.Generator, cells: Cells) -> Drawn:
    level, a, b = math.log(rng.uniform(3, 6)), rng.uniform(0.4, 0.9), rng.uniform(-0.5, 0.5)
    return lambda d, k: level + (a * k + b) * np.log(d), {"d^k": a, "d": b}


def binomial(rng: np.random.Generator, cells: Cells) -> Drawn:
    level, a = math.log(rng.uniform(1, 4)), rng.uniform(0.6, 1.4)
    return lambda d, k: level + a * _log_choose(d, k), {"C(d,k)": a}


def exponential(rng: np.random.Generator, cells: Cells) -> Drawn:
    largest = max(d for d, _ in cells)
    level, a, b = math.log(rng.uniform(3, 10)), rng.uniform(1, 4) / largest, rng.uniform(0.2, 1)
    return lambda d, k: level + a * d + b * k, _letters(cells, a, b)


def _letters(cells: Cells, a: float, b: float) -> Exponents:
    return {"d": a, "k": b} if len({k for _, k in cells}) > 1 else {"d": a}


def _log_choose(d: Array, k: Array) -> Array:
    return np.asarray(gammaln(d + 1) - gammaln(k + 1) - gammaln(d - k + 1))


FAMILIES: tuple[tuple[str, Callable[[np.random.Generator, Cells], Drawn], Cells], ...] = (
    ("constant", constant, ALONG_D),
    ("power", power, ALONG_D),
    ("power_log", power_log, ALONG_D),
    ("exponential", exponential, ALONG_D),
    ("power", power, ALONG_BOTH),
    ("power_log", power_log, ALONG_BOTH),
    ("power_in_k", power_in_k, ALONG_BOTH),
    ("binomial", binomial, ALONG_BOTH),
    ("exponential", exponential, ALONG_BOTH),
)


@dataclass(frozen=True)
class Problem:
    """One law with its thresholds; outcomes come from `rng`."""

    family: str
    exponents: Exponents
    asked: tuple[Asked, ...]
    log_n_star: Array
    form: Form
    slopes: Array
    beyond: tuple[int, int, float]
    """A (d, k) that is not asked, and log n_star there."""
    rng: np.random.Generator

    def success(self, place: int, n: int | Array) -> Array:
        """Chance of success at the place-th threshold."""
        at = self.slopes[place] * (np.log(n) - self.log_n_star[place])
        return chances(self.form, LEVEL, np.asarray(at))[0]


def a_problem(row: int, seed: int, scatter: float) -> Problem:
    """The seed-th problem of a row of `FAMILIES`."""
    family, draw, cells = FAMILIES[row]
    rng = np.random.default_rng([seed, row])
    d, k = (np.array(column, float) for column in zip(*cells, strict=True))
    law, exponents = draw(rng, cells)
    log_n_star = law(d, k) + rng.normal(0, scatter, len(d))
    steepness, sharpening = math.exp(rng.uniform(*np.log(SLOPES))), rng.uniform(0, 0.8)
    far = round(1.5 * d.max())
    middle = int(np.median(k))
    truth = float(law(np.array([far], float), np.array([middle], float))[0])
    asked = tuple(
        Asked(
            *cell,
            max(1, int(math.exp(m) / rng.uniform(5, 30))),
            2 + int(math.exp(m) * rng.uniform(5, 30)),
        )
        for cell, m in zip(cells, log_n_star, strict=True)
    )
    weights = np.array([form.weight for form in FORMS])
    form = FORMS[rng.choice(len(FORMS), p=weights / weights.sum())]
    own = np.exp(rng.normal(0, OWN_SLOPE_SD, len(d)))
    slopes = steepness * (d / np.exp(np.log(d).mean())) ** sharpening * own
    beyond = (far, middle, truth + rng.normal(0, scatter))
    return Problem(family, exponents, asked, log_n_star, form, slopes, beyond, rng)


def fixed(problem: Problem) -> list[Tally]:
    """Outcomes near each threshold, off its middle by chance, and those that bracketed it."""
    tallies, rng = [], problem.rng
    for place, ask in enumerate(problem.asked):
        ladder = rungs(ask.low, ask.high)
        spread = rng.uniform(-2, 2, rng.integers(OUTCOMES[0], OUTCOMES[1] + 1)) + rng.normal(0, 0.3)
        near = spread / problem.slopes[place]
        wanted = problem.log_n_star[place] + np.concatenate([near, BRACKET])
        n = ladder[np.abs(np.log(ladder)[None] - wanted[:, None]).argmin(1)]
        won = rng.random(len(n)) < problem.success(place, n)
        tallies += [
            Tally(ask.d, ask.k, int(one), int(won[n == one].sum()), int((n == one).sum()))
            for one in np.unique(n)
        ]
    return tallies


def searched(problem: Problem) -> list[Tally]:
    """Outcomes of the adaptive search, until every threshold is settled."""
    counts: dict[tuple[int, int, int], tuple[int, int]] = {}
    places = {(ask.d, ask.k): place for place, ask in enumerate(problem.asked)}
    while True:
        tallies = [Tally(*point, *count) for point, count in sorted(counts.items())]
        left = MOST - sum(trials for _, trials in counts.values())
        round_ = _round(problem, tallies, min(32, left))
        if not round_:
            return tallies
        for one in round_:
            chance = float(problem.success(places[one.d, one.k], one.n))
            won = int(binom.rvs(one.repeats, chance, random_state=problem.rng))
            before = counts.get((one.d, one.k, one.n), (0, 0))
            counts[one.d, one.k, one.n] = (before[0] + won, before[1] + one.repeats)


def _round(problem: Problem, tallies: Sequence[Tally], trials: int) -> list[Choice]:
    return design.choose(
        fit(problem, tallies),
        problem.asked,
        tallies,
        [],
        trials=trials,
        work=lambda d, n, k: 1.0,
        tolerance=TOLERANCE,
    )


def fit(problem: Problem, tallies: Sequence[Tally]) -> Posterior:
    return psychometric.fit(
        problem.asked, tallies, level=LEVEL, confidence=CONFIDENCE, tolerance=TOLERANCE
    )


@dataclass(frozen=True)
class Judged:
    """One problem's answer beside the truth."""

    covered: tuple[bool, ...]
    widths: tuple[float, ...]
    forecast: bool
    named: str
    trials: int


def judge(problem: Problem, tallies: Sequence[Tally]) -> Judged | None:
    """What `laws_of` says; None where fewer than three thresholds are found."""
    laws = laws_of(fit(problem, tallies))
    if laws is None:
        return None
    preferred, own = laws.law(), laws.law(problem.family)
    named = "right" if preferred.family == problem.family else "wrong"
    d, k, log_n_star = problem.beyond
    seen = preferred.predict(d, k)
    found = [(own.exponents[name], true) for name, true in problem.exponents.items()]
    return Judged(
        covered=tuple(one.low <= true <= one.high for one, true in found),
        widths=tuple(one.high - one.low for one, _ in found),
        forecast=math.log(seen.low) <= log_n_star <= math.log(seen.high),
        named=named if preferred.decisive else "open",
        trials=sum(tally.trials for tally in tallies),
    )


def line(row: int, answers: Sequence[Judged], missing: int, seconds: float) -> str:
    """One row of the table."""
    family, _, cells = FAMILIES[row]
    covered = [one for answer in answers for one in answer.covered]
    widths = " ".join(
        f"{np.median(column):.3f}" for column in zip(*(one.widths for one in answers), strict=True)
    )
    shares = [
        np.mean([one.named == word for one in answers]) for word in ("right", "open", "wrong")
    ]
    share = f"{np.mean(covered):8.1%}" if covered else f"{'-':>8}"
    return (
        f"{family:12s} {len(cells):>5} {share} {widths:>12}"
        f" {np.mean([one.forecast for one in answers]):9.1%}"
        f" {shares[0]:7.1%} {shares[1]:6.1%} {shares[2]:6.1%}"
        f" {np.mean([one.trials for one in answers]):7.0f} {missing:5d} {seconds:6.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", type=int, default=30, help="per row of the table")
    parser.add_argument("--scatter", type=float, default=0.0, help="of thresholds about the law")
    parser.add_argument("--search", action="store_true", help="outcomes from the adaptive search")
    parser.add_argument("--only", default="", help="a family's name")
    options = parser.parse_args()
    print(
        f"{'family':12s} {'cells':>5} {'covered':>8} {'width':>12} {'forecast':>9}"
        f" {'right':>7} {'open':>6} {'wrong':>6} {'trials':>7} {'none':>5} {'s each':>6}"
    )
    everything: list[Judged] = []
    for row, (family, _, _) in enumerate(FAMILIES):
        if options.only not in ("", family):
            continue
        started = time.process_time()
        problems = [a_problem(row, seed, options.scatter) for seed in range(options.problems)]
        judged = [judge(one, searched(one) if options.search else fixed(one)) for one in problems]
        answers = [one for one in judged if one is not None]
        seconds = (time.process_time() - started) / len(problems)
        if answers:
            print(line(row, answers, len(judged) - len(answers), seconds), flush=True)
        everything += answers
    if not everything:
        sys.exit("no problem had three thresholds")
    covered = np.mean([one for answer in everything for one in answer.covered])
    wrong = np.mean([one.named == "wrong" for one in everything])
    print(f"\ncovered {covered:.1%} (goal 93-97%), misnamed {wrong:.1%} (goal at most 5%)")


if __name__ == "__main__":
    main()
