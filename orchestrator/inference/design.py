"""Which (d, n, k) to try next, and how often: one round, designed jointly.

The posterior is represented by joint draws. Each draw gives the thresholds and the success chance
at every candidate point, so their joint covariance is known, and the best linear predictor of the
thresholds from the outcomes at a set of points has a variance in closed form (linear Bayes;
Goldstein & Wooff 2007, chapter 3). Points are added one by one, always the one whose outcome takes
away most of what stands between the thresholds and their tolerance; points in flight are counted
first. For a wide box of possible thresholds the rule bisects, near the crossing it weighs slopes
against position, and it sees what one cell says of another.

Two phases. A cell that is not bracketed yet is bracketed first, whatever a trial costs: the most
information per second would go on for ever asking cheap points that tell nothing. Then gains are
weighed per nominal work. Since a cell at its tolerance gains nothing more, no cell starves.

A round may be smaller than it could be: no round, with what is pending, may aim at more than
`DEEPEST` times less spread than there is now (a box cut blindly into many pieces wastes most of
them), and nothing is asked beyond the tolerance.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from orchestrator.inference.ladder import FINE_TOLERANCE, NARROW_RUNGS, RUNG, around
from orchestrator.inference.posterior import Draws, Posterior
from orchestrator.inference.threshold import Asked, Choice, Tally
from orchestrator.inference.verdict import OWN_TRIALS

Array = NDArray[np.float64]
Work = Callable[[int, int, int], float]
AtHand = Callable[[int, int, int], int]
"""Trials at (d, n, k), of those to be asked next, that cost nothing."""

DRAWS = 1_024
"""Joint draws of the posterior; correlations are good to 0.03."""

CANDIDATES = 24
"""Points considered in each cell."""

DEEPEST = 4.0
"""A cell's expected standard deviation may fall by this factor before results are awaited."""

BRACKETED = 1.5
"""A cell is bracketed when log n_star is known to this many widths 1/s of its transition."""

WIDE_TRIALS = 3
"""Trials of a cell that is not bracketed that may be in flight at once, this round's included.
Measured on GF(2) rank over wide ranges, 20 sweeps: 1.73, 1.55, 1.53 times the oracle bound in 12.7,
14.1, 16.4 rounds with 4, 3, 2."""

BLOCK = 4
"""Repeats come in blocks of this many where that costs little."""

BLOCK_KEEPS = 0.75
"""A block is asked when it gains at least this share of as many first trials. Chosen by hand."""

AT_HAND = 1e-3
"""Work of a trial that costs nothing, as a share of what it would be: its place in a round is not
free. Chosen by hand."""

AIM = 0.9
"""Share of the tolerance that is aimed at, so that rounds do not end just short of it."""


@dataclass(frozen=True)
class _Goal:
    """One unsettled threshold: its target variance, and whether it is bracketed."""

    i: int
    variance: float
    wanted: float
    bracketed: bool


@dataclass(frozen=True)
class _Candidate:
    """A point with its place among the goals, its work, and the draws' success chances there."""

    d: int
    k: int
    n: int
    goal: int
    work: float


def choose(
    posterior: Posterior,
    asked: Sequence[Asked],
    tallies: Sequence[Tally],
    pending: Sequence[Choice],
    *,
    trials: int,
    work: Work,
    tolerance: float,
    at_hand: AtHand | None = None,
) -> list[Choice]:
    """One round of at most `trials` trials; empty when every threshold is settled.

    `posterior` was fitted to `asked` and `tallies`; `pending` are choices in flight. `work` is the
    nominal work of one trial at (d, n, k), of which next to nothing is left where one is `at_hand`.
    At least one choice comes back while anything is
    unsettled. The same values give the same round.
    """
    unsettled = [i for i in range(len(asked)) if not posterior.settled(i)]
    if not unsettled or trials < 1:
        return []
    draws = posterior.draws(DRAWS, np.random.Generator(np.random.Philox(key=0)))
    targets = [_target(posterior, draws, i, tolerance) for i in unsettled]
    goals = [
        _goal(posterior, i, target, tolerance) for i, target in zip(unsettled, targets, strict=True)
    ]

    def price(d: int, n: int, k: int) -> float:
        free = at_hand is not None and at_hand(d, n, k) > 0
        return work(d, n, k) * (AT_HAND if free else 1.0)

    candidates = [
        _Candidate(asked[g.i].d, asked[g.i].k, n, place, price(asked[g.i].d, n, asked[g.i].k))
        for place, g in enumerate(goals)
        for n in _rungs(posterior, g, tolerance)
    ]
    room = [_room(posterior, g, pending) for g in goals]
    outlook = _Outlook(posterior, draws, np.column_stack(targets), candidates, pending)
    owed = _owed(posterior, goals, pending)
    return _greedy(outlook, goals, candidates, trials, owed, room)


def _target(posterior: Posterior, draws: Draws, i: int, tolerance: float) -> Array:
    """What is to be known of the i-th threshold, per draw: log n_star, clipped to its range.

    How far outside the range it lies is no question. Where the curve jumps between integers, all
    values inside one step are one answer.
    """
    ask = posterior.asked[i]
    m = draws.m[:, posterior.cell(i)]
    clipped = np.clip(m, math.log(ask.low) - RUNG, math.log(ask.high) + RUNG)
    steps = np.exp(draws.l[:, posterior.cell(i)] - clipped)
    above = np.ceil(np.exp(clipped))
    whole = np.log(np.maximum(above - 0.5, 0.5))
    return np.asarray(np.where(steps > 2.0, whole, clipped))


def _goal(posterior: Posterior, i: int, target: Array, tolerance: float) -> _Goal:
    """The variance now and the variance that would settle the threshold.

    The interval's width in standard deviations is taken from the posterior as it is: tails heavier
    than a Gaussian's ask for more.
    """
    tail = (1 - posterior.confidence) / 2
    variance = float(target.var())
    z = float(ndtri(1 - tail))
    half = (np.quantile(target, 1 - tail) - np.quantile(target, tail)) / 2
    stretch = min(max(half / max(z * math.sqrt(variance), 1e-12), 0.8), 1.25)
    wanted = (AIM * tolerance / (z * stretch)) ** 2
    slope = math.exp(posterior.log_slope(i))
    middle = math.exp(posterior.quantile(i, 0.5))
    if slope / middle > 2.0:
        wanted = max(wanted, 0.04 / middle**2)
    # unsettled although narrow (near an end of its range, say): there is still something to learn
    wanted = min(wanted, 0.8 * variance)
    width = max(1 / slope, 0.5 / middle)
    return _Goal(i, variance, wanted, math.sqrt(variance) < BRACKETED * width)


def _rungs(posterior: Posterior, goal: _Goal, tolerance: float) -> list[int]:
    """Candidate n: rungs where the threshold may lie, thinned evenly over its distribution."""
    ask = posterior.asked[goal.i]
    slope = math.exp(posterior.log_slope(goal.i))
    low, high = posterior.quantile(goal.i, 0.02), posterior.quantile(goal.i, 0.98)
    start, end = math.exp(low - 1.5 / slope), math.exp(high + 1.5 / slope)
    every = goal.bracketed and 4.4 / slope < NARROW_RUNGS * RUNG
    ladder = around(ask.low, ask.high, start, end, fine=tolerance < FINE_TOLERANCE, every=every)
    if len(ladder) > CANDIDATES:
        at = np.linspace(0, len(ladder) - 1, CANDIDATES).round().astype(int)
        ladder = ladder[np.unique(at)]
    return [int(n) for n in ladder]


def _owed(posterior: Posterior, goals: Sequence[_Goal], pending: Sequence[Choice]) -> list[int]:
    """Trials each unsettled cell still lacks before it may be called found on its own word."""
    owed = []
    for goal in goals:
        ask = posterior.asked[goal.i]
        own = sum(t.trials for t in posterior.tallies if (t.d, t.k) == (ask.d, ask.k))
        flying = sum(c.repeats for c in pending if (c.d, c.k) == (ask.d, ask.k))
        owed.append(max(0, OWN_TRIALS - own - flying))
    return owed


def _room(posterior: Posterior, goal: _Goal, pending: Sequence[Choice]) -> int:
    """Trials that may still be sent to a cell before its results are awaited."""
    ask = posterior.asked[goal.i]
    flying = sum(c.repeats for c in pending if (c.d, c.k) == (ask.d, ask.k))
    return 10**9 if goal.bracketed else WIDE_TRIALS - flying


class _Outlook:
    """Expected covariance of goals and candidates as points are added.

    Rows and columns: the goals first, then the candidates. `noise` is the variance of one outcome
    given its chance.
    """

    def __init__(
        self,
        posterior: Posterior,
        draws: Draws,
        targets: Array,
        candidates: Sequence[_Candidate],
        pending: Sequence[Choice],
    ) -> None:
        self.goals = targets.shape[1]
        flying = [(c.d, c.k, c.n) for c in pending if (c.d, c.k) in posterior.cells]
        points = [(c.d, c.k, c.n) for c in candidates] + flying
        chances = _chances(posterior, draws, points)
        values = np.column_stack([targets, chances])
        values = values - values.mean(0)
        self.noise = (chances * (1 - chances)).mean(0)
        self.covariance = values.T @ values / len(values)
        repeats = [c.repeats for c in pending if (c.d, c.k) in posterior.cells]
        for place, count in enumerate(repeats):
            self.add(len(candidates) + place, count)
        last = self.goals + len(candidates)
        self.covariance = self.covariance[:last, :last]
        self.noise = self.noise[: len(candidates)]

    @property
    def variances(self) -> Array:
        """Expected variance of each goal: (goals,)."""
        return np.diag(self.covariance)[: self.goals].copy()

    def reductions(self, repeats: int) -> Array:
        """Fall of each goal's variance by trials at each candidate: (goals, candidates)."""
        own = np.diag(self.covariance)[self.goals :]
        cross = self.covariance[: self.goals, self.goals :]
        return np.asarray(cross**2 / (own + self.noise / repeats + 1e-12))

    def add(self, candidate: int, repeats: int) -> None:
        """Count `repeats` trials at a candidate as done."""
        column = self.covariance[:, self.goals + candidate].copy()
        total = column[self.goals + candidate] + self.noise[candidate] / repeats + 1e-12
        self.covariance -= np.outer(column, column / total)


def _chances(posterior: Posterior, draws: Draws, points: Sequence[tuple[int, int, int]]) -> Array:
    """Success chance of each draw at each point: (draws, points)."""
    result = np.zeros((len(draws.form), len(points)))
    for number, cell in enumerate(posterior.cells):
        columns = [at for at, (d, k, _) in enumerate(points) if (d, k) == cell]
        if columns:
            log_n = np.log([float(points[at][2]) for at in columns])
            m, l = draws.m[:, number], draws.l[:, number]
            result[:, columns] = posterior.success(log_n, m, l, draws.form)
    return result


def _greedy(
    outlook: _Outlook,
    goals: Sequence[_Goal],
    candidates: Sequence[_Candidate],
    trials: int,
    owed: list[int],
    room: list[int],
) -> list[Choice]:
    """The round: one block after another, until nothing is worth asking or it is full."""
    repeats: dict[int, int] = {}
    left = trials
    while left > 0:
        pick = _next(outlook, goals, candidates, left, owed, room)
        if pick is None:
            break
        place, count = pick
        outlook.add(place, count)
        repeats[place] = repeats.get(place, 0) + count
        owed[candidates[place].goal] -= count
        room[candidates[place].goal] -= count
        left -= count
    if not repeats:
        # what is in flight should settle everything; ask the least, so that the search goes on
        gain = outlook.reductions(1).sum(0)
        repeats[int(np.argmax(gain))] = 1
    return [
        Choice(candidates[p].d, candidates[p].k, candidates[p].n, r)
        for p, r in sorted(repeats.items(), key=lambda item: _order(candidates[item[0]]))
    ]


def _order(candidate: _Candidate) -> tuple[int, int, int]:
    return candidate.d, candidate.k, candidate.n


def _next(
    outlook: _Outlook,
    goals: Sequence[_Goal],
    candidates: Sequence[_Candidate],
    left: int,
    owed: Sequence[int],
    room: Sequence[int],
) -> tuple[int, int] | None:
    """The next candidate and its repeats, or None when nothing more is worth asking now."""
    own = np.array([c.goal for c in candidates])
    excess = outlook.variances - np.array([g.wanted for g in goals])
    floor = np.array([g.variance for g in goals]) / DEEPEST**2
    open_goals = (excess > 0) & (outlook.variances > floor) & (np.array(room) > 0)
    lacking = np.array([count > 0 for count in owed]) & (excess <= 0)
    wide = open_goals & np.array([not g.bracketed for g in goals])
    if wide.any():
        return int(np.argmax(_gain(outlook, excess, wide, own, 1))), 1
    work = np.array([c.work for c in candidates])
    if open_goals.any():
        block = min(BLOCK, left)
        single = _gain(outlook, excess, open_goals, own, 1) / work
        several = _gain(outlook, excess, open_goals, own, block) / work
        best, many = int(np.argmax(single)), int(np.argmax(several))
        if several[many] >= BLOCK_KEEPS * block * single[best]:
            return many, block
        return best, 1
    if lacking.any():
        gain = np.where(lacking[own], outlook.reductions(1)[own, np.arange(len(own))], -1.0)
        return int(np.argmax(gain)), min(BLOCK, left)
    return None


def _gain(
    outlook: _Outlook, excess: Array, open_goals: NDArray[np.bool_], own: Array, repeats: int
) -> Array:
    """Excess variance taken away by each candidate of an open cell; -1 for the others."""
    taken = np.minimum(outlook.reductions(repeats), np.maximum(excess, 0.0)[:, None])
    return np.where(open_goals[own], taken.sum(0), -1.0)
