"""Answers made by hand: thresholds of a known law, seen through simulated trials."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from orchestrator.answer import (
    Answer,
    ArmAnswer,
    Comparison,
    FoundThreshold,
    TrialRow,
)
from orchestrator.domain.learner import Outcome
from orchestrator.domain.point import Point
from orchestrator.inference.threshold import Asked, Interval, Law, Tally, Threshold

SPEC = """\
# Does a network that learns features need fewer examples than a kernel, and fewer still as the
# dimension grows?
format: 1
name: quickstart
target:  {kind: sparse_parity}
learner: [{kind: two_layer}, {kind: kernel_ridge}]
axes:
  d: [10, 15, 20, 30]
  k: 2
  n: {low: "k", high: "4*d**2", spacing: log}
success: {measure: test_accuracy, above: 0.95}
search: {kind: threshold, tolerance: 0.05, max_trials: 2000}
theory:
  - {n_star: "comb(d, k)", learner: kernel_ridge, kind: asymptotic, source: "Ghorbani et al. 2021"}
"""


@dataclass(frozen=True)
class LogisticCurve:
    """A logistic curve in log n whose centre is known up to `sd`."""

    centre: float
    slope: float
    sd: float

    def __call__(self, n: Sequence[float]) -> tuple[Sequence[float], ...]:
        at = np.log(np.asarray(n, dtype=float))
        return tuple(
            expit(self.slope * (at - self.centre - shift)).tolist()
            for shift in (0.0, 1.96 * self.sd, -1.96 * self.sd)
        )


def on_ladder(n, most):
    """The rung nearest to n, at most `most`: every integer to 32, then sixteen to an octave."""
    rung = n if n < 32 else 32 * 2 ** (round(16 * math.log2(n / 32)) / 16)
    return max(1, min(most, round(rung)))


def a_found(
    d=10,
    k=2,
    n_star=50.0,
    *,
    slope=9.0,
    sd=0.022,
    status="found",
    rounds=8,
    gap_every=0,
    theory=None,
    seed=0,
):
    """A threshold and the trials that found it: bracketed first, then tried near `n_star`."""
    rng = np.random.default_rng([seed, d, k])
    most = 40 * d
    spread = np.geomspace(1.2, 0.12, rounds)
    tried = [
        (round_, on_ladder(n_star * math.exp(rng.normal(0, width)), most))
        for round_, width in enumerate(spread)
        for _ in range(10)
    ]
    asked = Asked(d, k, 2, most)
    won = rng.random(len(tried)) < expit(slope * (np.log([n for _, n in tried]) - math.log(n_star)))
    lost = [bool(gap_every) and index % gap_every == 3 for index in range(len(tried))]
    counts = {}
    for (_, n), success, gap in zip(tried, won, lost, strict=True):
        s, t, g = counts.get(n, (0, 0, 0))
        counts[n] = (s + (success and not gap), t + (not gap), g + gap)
    tallies = tuple(Tally(d, k, n, int(s), t, g) for n, (s, t, g) in sorted(counts.items()))
    centre = math.log(n_star) + rng.normal(0, sd)
    known = status == "found"
    threshold = Threshold(
        d=d,
        k=k,
        status=status,
        n_star=math.exp(centre) if known else None,
        low=math.exp(centre - 1.96 * sd)
        if known
        else float(most)
        if status == "above_range"
        else None,
        high=math.exp(centre + 1.96 * sd) if known else 2.5 if status == "below_range" else None,
        confidence=0.95,
        trials=sum(t.trials for t in tallies),
        gaps=sum(t.gaps for t in tallies),
        n10_n90=(math.exp(centre - 2.2 / slope), math.exp(centre + 2.2 / slope)) if known else None,
    )
    found = FoundThreshold(
        asked=asked,
        threshold=threshold,
        tallies=tallies,
        curve=LogisticCurve(centre, slope, sd),
        theory=theory,
        theory_kind=None if theory is None else "asymptotic",
        theory_source=None if theory is None else "Ghorbani et al. 2021",
    )
    return found, [
        (round_, n, bool(s), g) for (round_, n), s, g in zip(tried, won, lost, strict=True)
    ]


def a_law(founds, exponents, family="power", decisive=True, fit=None):
    """The law `fit(d, k)` with the given exponents, fitted to the thresholds that were found."""
    fit = fit or (lambda d, k: 1.0)
    used = [one for one in founds if one.threshold.n_star]
    level = np.mean(
        [math.log(one.threshold.n_star / fit(one.asked.d, one.asked.k)) for one in used]
    )
    return Law(
        family=family,
        exponents={name: Interval(*values) for name, values in exponents.items()},
        weights={family: 0.93, "binomial": 0.05, "exponential": 0.015, "constant": 0.005},
        decisive=decisive,
        prefactor=Interval(math.exp(level), math.exp(level) * 0.9, math.exp(level) * 1.1),
        residuals={
            (one.asked.d, one.asked.k): math.log(
                one.threshold.n_star / fit(one.asked.d, one.asked.k)
            )
            - level
            for one in used
        },
    )


def an_arm(founds, law, learner="two_layer", label=None, target="sparse_parity", **changes):
    """An arm of these thresholds."""
    arm = ArmAnswer(
        target={"kind": target},
        learner={"kind": learner},
        label=label or f"{target} · {learner}",
        level=0.5,
        n_counts="training examples",
        thresholds=tuple(founds),
        law=law,
    )
    return replace(arm, **changes)


def rows_of(arm, found, trials):
    """The trials behind a threshold, as rows."""
    return [
        TrialRow(
            key=hashlib.sha256(f"{arm} {found.asked} {index}".encode()).hexdigest()[:32],
            arm=arm,
            round=round_,
            point=Point(d=found.asked.d, n=n, k=found.asked.k),
            repeat=index,
            seed=0,
            outcome=None if gap else Outcome.FITTED,
            success=None if gap else success,
            measures={} if gap else {"test_accuracy": 0.99 if success else 0.6},
            seconds=0.4,
            attempt=3 if gap else 1,
            cached=index % 17 == 0,
            reasons=("worker died: out of memory", "out of memory, twice") if gap else (),
        )
        for index, (round_, n, success, gap) in enumerate(trials)
    ]


def compared(first, second, confidence=1.96):
    """Ratios and exponent gaps of two arms, from their intervals."""
    others = {(one.asked.d, one.asked.k): one.threshold for one in second.thresholds}
    ratios = []
    for one in first.thresholds:
        mine, other = one.threshold, others.get((one.asked.d, one.asked.k))
        if mine.n_star and other and other.n_star:
            sd = math.hypot(
                *(math.log(t.high / t.low) / 2 / norm.ppf(0.975) for t in (mine, other))
            )
            ratio = mine.n_star / other.n_star
            half = math.exp(confidence * sd)
            ratios.append((one.asked.d, one.asked.k, ratio, ratio / half, ratio * half))
    return tuple(ratios)


def an_answer(**changes):
    """Two arms on 2-parity, d = 10 to 30: a network's need grows like d^0.8, a kernel's like d^2.

    One threshold of the kernel lies above its range, one of the network is undecided at d = 30,
    and some trials are gaps.
    """
    net = [
        a_found(10, 2, 42.0, seed=1),
        a_found(15, 2, 56.0, seed=1, gap_every=20),
        a_found(20, 2, 67.0, seed=1),
        a_found(30, 2, 102.0, seed=1),
        a_found(40, 2, 120.0, seed=1, rounds=3, status="undecided"),
    ]
    kernel = [
        a_found(10, 2, 45.9, seed=2, theory=45.0, slope=12),
        a_found(15, 2, 91.8, seed=2, theory=105.0, slope=12),
        a_found(20, 2, 155.2, seed=2, theory=190.0, slope=12),
        a_found(30, 2, 390.0, seed=2, theory=435.0, slope=12, gap_every=15),
        a_found(40, 2, 3600.0, seed=2, theory=780.0, rounds=3, status="above_range"),
    ]
    arms = (
        an_arm(
            [one for one, _ in net],
            a_law(
                [one for one, _ in net],
                {"d": (0.79, 0.70, 0.88)},
                decisive=False,
                fit=lambda d, k: d**0.79,
            ),
            "two_layer",
        ),
        an_arm(
            [one for one, _ in kernel],
            a_law([one for one, _ in kernel], {"d": (1.92, 1.84, 2.00)}, fit=lambda d, k: d**1.92),
            "kernel_ridge",
        ),
    )
    rows = [
        row
        for arm, founds in enumerate((net, kernel))
        for found, trials in founds
        for row in rows_of(arm, found, trials)
    ]
    answer = Answer(
        sweep="3f9a61c0d2b47e18",
        name="quickstart",
        question="Does a network that learns features need fewer examples than a kernel, and "
        "fewer still as the dimension grows?",
        criterion="test_accuracy > 0.95",
        status="finished",
        stopped_by="max_trials",
        finished_trials=sum(row.outcome is not None for row in rows),
        gaps=sum(row.outcome is None for row in rows),
        arms=arms,
        comparisons=(Comparison(0, 1, compared(*arms), (("d", -1.13, -1.25, -1.01),)),),
        spec_source=SPEC,
        started=1_760_000_000.0,
        ended=1_760_000_097.4,
        rows=tuple(rows),
    )
    return replace(answer, **changes)


def an_answer_with_k(**changes):
    """One arm, k varying with d: basis pursuit at d = 50, 100, 200 and k = d/10, d/5, 2d/5."""
    shares = {0.1: 0.3288, 0.2: 0.5111, 0.4: 0.7456}
    founds = [
        a_found(d, round(share * d), rho * d, slope=30, sd=0.01, theory=rho * d, rounds=5)
        for d in (50, 100, 200)
        for share, rho in shares.items()
    ]
    arm = an_arm(
        [one for one, _ in founds],
        a_law(
            [one for one, _ in founds],
            {"d": (0.41, 0.38, 0.44), "k": (0.59, 0.56, 0.62)},
            fit=lambda d, k: d**0.41 * k**0.59,
        ),
        "basis_pursuit",
        target="sparse_linear",
    )
    rows = [row for found, trials in founds for row in rows_of(0, found, trials)]
    answer = Answer(
        sweep="77aa01bc9d00e412",
        name="donoho-tanner",
        question="How many Gaussian measurements does basis pursuit need to recover a k-sparse "
        "vector?",
        criterion="relative_error < 0.001",
        status="finished",
        stopped_by="tolerance",
        finished_trials=len(rows),
        gaps=0,
        arms=(arm,),
        spec_source="# How many?\nformat: 1\nname: donoho-tanner\n",
        started=1_760_000_000.0,
        ended=1_760_000_301.0,
        rows=tuple(rows),
    )
    return replace(answer, **changes)


def a_small_answer(status="found", **changes):
    """One arm, three thresholds, few trials: enough to draw everything, quickly."""
    founds = [a_found(d, 2, 4.0 * d, rounds=2, status=status)[0] for d in (10, 20, 40)]
    law = None
    if status == "found":
        law = a_law(founds, {"d": (1.0, 0.9, 1.1)}, fit=lambda d, k: float(d))
    arm = an_arm(founds, law)
    return an_answer(**{"arms": (arm,), "comparisons": (), "rows": (), "gaps": 0, **changes})


def an_empty_answer():
    """A sweep that was interrupted before any trial finished: nothing is known."""
    found, _ = a_found(rounds=1)
    bare = replace(
        found,
        tallies=(),
        threshold=Threshold(10, 2, "undecided", None, None, None, 0.95, 0),
    )
    return an_answer(
        arms=(an_arm([bare], None),),
        comparisons=(),
        rows=(),
        finished_trials=0,
        gaps=0,
        status="interrupted",
        stopped_by="interrupted",
        ended=None,
    )
