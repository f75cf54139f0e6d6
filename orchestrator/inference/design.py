"""Which trials next: a whole round at once, by expected fall of the asked thresholds' variance.

Each cell's posterior is stood for by equally likely atoms, each a threshold with a success curve.
An outcome at a point is worth what regressing log n_star on it leaves less of its variance, which
for one outcome is exactly the expected fall; with boxes between integers and half-open thresholds
the rule bisects, near the crossing it weighs slopes against position. What one cell's trials say of
another's threshold passes through the correlation of the two.

Two phases. A cell that is not bracketed yet is bracketed first, whatever a trial costs: the most
information per second would go on for ever asking cheap points that tell nothing. Then gains are
weighed per nominal work. Since a cell at its tolerance gains nothing more, no cell starves.

A round may be smaller than it could be: no round, with what is pending, may aim at more than
`DEEPEST` times less spread than there is now (a box cut blindly into many pieces wastes most of
them), and nothing is asked beyond the tolerance.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from orchestrator.inference.audit import is_due, looks
from orchestrator.inference.ladder import FINE_TOLERANCE, NARROW_RUNGS, RUNG, Rungs, around
from orchestrator.inference.laws.families import varying
from orchestrator.inference.marginals import Atoms
from orchestrator.inference.posterior import Posterior
from orchestrator.inference.threshold import Aim, Asked, Choice, Tally
from orchestrator.inference.verdict import OWN_TRIALS, is_narrow, is_outside

Array = NDArray[np.float64]
Work = Callable[[int, int, int], float]
AtHand = Callable[[int, int, int], int]
"""Trials at (d, n, k), of those to be asked next, that cost nothing."""

ATOMS = 256
"""Atoms of each cell. Doubling them changes gains by about 3%."""

CANDIDATES = 16
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

AT_HAND = 0.01
"""Work of a trial that costs nothing, as a share of what it would be: its place in a round is not
free. Chosen by hand."""

LOOKED_AT = 4096
"""Integers around a crossing that are looked through for trials at hand off the ladder."""

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
class _Cell:
    """One unsettled cell: its goal, its candidate points, and those of its own that are pending.

    `values`: (atoms, 1 + points), centred: what is to be known, then the success chances.
    `noise`: (points,), variance of one outcome given its chance.
    """

    goal: _Goal
    n: tuple[int, ...]
    pending: tuple[int, ...]
    values: Array
    noise: Array


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
    aim: Aim = "thresholds",
) -> list[Choice]:
    """One round of at most `trials` trials; empty when every threshold is settled, or waits only
    for looks that are in flight (`audit`).

    `posterior` was fitted to `asked` and `tallies`; `pending` are choices in flight. `work` is the
    nominal work of one trial at (d, n, k), of which next to nothing is left where one is `at_hand`;
    points at hand are considered though no rung lies there. With aim `exponents` the trials go
    where they narrow the exponents of d and k most, and `tolerance` bounds half the width of those
    intervals. At least one choice comes back while any interval is too wide. The same values give
    the same round. Raises `ValueError` for work that is not positive.
    """
    for_exponents = aim == "exponents"
    unsettled = [i for i in range(len(asked)) if for_exponents or not posterior.settled(i)]
    if not unsettled or trials < 1:
        return []
    owed = _first(_looks(posterior, unsettled, pending), trials)
    trials -= sum(choice.repeats for choice in owed)
    wide = [
        i
        for i in unsettled
        if for_exponents or not (is_narrow(posterior, i) or is_outside(posterior, i))
    ]
    if not wide or trials < 1:
        return _in_order(owed)
    cells = [_cell(posterior, i, pending, tolerance, at_hand) for i in wide]
    outlook = _Outlook(posterior, cells)
    for choice in pending:
        outlook.expect(choice)
    prices = _prices(asked, cells, work, at_hand)
    goals = _exponents(posterior, cells, tolerance) if for_exponents else None
    goals = goals or _thresholds(cells)
    chosen = _greedy(_Picker(outlook, cells, goals, prices, posterior, pending), asked, trials)
    return _in_order([*owed, *chosen])


def _in_order(choices: Sequence[Choice]) -> list[Choice]:
    return sorted(choices, key=lambda choice: (choice.d, choice.k, choice.n))


def _looks(
    posterior: Posterior, unsettled: Sequence[int], pending: Sequence[Choice]
) -> list[Choice]:
    """Looks away from the crossings of thresholds that have come far, without those in flight."""
    flying: Counter[tuple[int, int, int]] = Counter()
    for c in pending:
        flying[c.d, c.k, c.n] += c.repeats
    owed = []
    for i in unsettled:
        if is_narrow(posterior, i) or is_outside(posterior, i) or is_due(posterior, i):
            d, k = posterior.asked[i].d, posterior.asked[i].k
            owed += [
                Choice(d, k, n, repeats - flying[d, k, n])
                for n, repeats in looks(posterior, i)
                if repeats > flying[d, k, n]
            ]
    return owed


def _first(choices: Sequence[Choice], trials: int) -> list[Choice]:
    """As many of the choices as `trials` allow, the last one cut."""
    kept = []
    for choice in choices:
        repeats = min(choice.repeats, trials)
        if repeats:
            kept.append(replace(choice, repeats=repeats))
        trials -= repeats
    return kept


def _cell(
    posterior: Posterior,
    i: int,
    pending: Sequence[Choice],
    tolerance: float,
    at_hand: AtHand | None,
) -> _Cell:
    ask = posterior.asked[i]
    atoms = posterior.marginals.atoms(posterior.cell(i), ATOMS)
    target = _target(ask, atoms)
    goal = _goal(posterior, i, target, tolerance)
    n = _rungs(posterior, goal, tolerance, at_hand)
    flying = tuple(sorted({c.n for c in pending if (c.d, c.k) == (ask.d, ask.k)}))
    chances = posterior.marginals.success(np.log(np.array([*n, *flying], dtype=np.float64)), atoms)
    values = np.column_stack([target, chances])
    return _Cell(
        goal=goal,
        n=tuple(n),
        pending=flying,
        values=values - values.mean(0),
        noise=np.asarray((chances * (1 - chances)).mean(0)),
    )


def _target(ask: Asked, atoms: Atoms) -> Array:
    """What is to be known of a threshold, per atom: log n_star, clipped to its range.

    How far outside the range it lies is no question. Where the curve jumps between integers, all
    values inside one step are one answer.
    """
    clipped = np.clip(atoms.m, math.log(ask.low) - RUNG, math.log(ask.high) + RUNG)
    steps = np.exp(atoms.l - clipped)
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


def _rungs(
    posterior: Posterior, goal: _Goal, tolerance: float, at_hand: AtHand | None
) -> list[int]:
    """Candidate n, ascending: rungs where the threshold may lie, thinned evenly over its
    distribution, and as many n of trials at hand.
    """
    ask = posterior.asked[goal.i]
    slope = math.exp(posterior.log_slope(goal.i))
    low, high = posterior.quantile(goal.i, 0.02), posterior.quantile(goal.i, 0.98)
    start, end = math.exp(low - 1.5 / slope), math.exp(high + 1.5 / slope)
    narrow = NARROW_RUNGS * RUNG
    every = 4.4 / slope < narrow and (goal.bracketed or high - low < narrow)
    ladder = around(ask.low, ask.high, start, end, fine=tolerance < FINE_TOLERANCE, every=every)
    chosen = set(_thinned(ladder))
    if at_hand is not None:
        first, last = int(ladder[0]), int(ladder[-1])
        looked = range(first, last + 1) if last - first < LOOKED_AT else ladder
        chosen.update(_thinned([n for n in looked if at_hand(ask.d, int(n), ask.k) > 0]))
    return sorted(chosen)


def _thinned(values: Sequence[int] | Rungs) -> list[int]:
    if len(values) <= CANDIDATES:
        return [int(n) for n in values]
    at = np.linspace(0, len(values) - 1, CANDIDATES).round().astype(int)
    return [int(values[place]) for place in np.unique(at)]


def _prices(
    asked: Sequence[Asked], cells: Sequence[_Cell], work: Work, at_hand: AtHand | None
) -> list[list[tuple[float, bool]]]:
    """Of each candidate of each cell: nominal work of a trial, and whether one is at hand."""
    rows = []
    for cell in cells:
        d, k = asked[cell.goal.i].d, asked[cell.goal.i].k
        free = [at_hand is not None and at_hand(d, n, k) > 0 for n in cell.n]
        row = [(work(d, n, k), own) for n, own in zip(cell.n, free, strict=True)]
        for n, (price, _) in zip(cell.n, row, strict=True):
            if not price > 0:
                raise ValueError(
                    f"work of a trial at d={d}, n={n}, k={k} is {price}; above 0 is needed"
                )
        rows.append(row)
    return rows


@dataclass(frozen=True)
class _Goals:
    """What is wanted: variances of linear functionals of the cells' thresholds.

    `rows`: (goals, cells); `wanted`: (goals,). `own` says that goal j is cell j's threshold, for
    which alone that cell is tried.
    """

    rows: Array
    wanted: Array
    own: bool


def _thresholds(cells: Sequence[_Cell]) -> _Goals:
    return _Goals(np.eye(len(cells)), np.array([cell.goal.wanted for cell in cells]), own=True)


def _exponents(posterior: Posterior, cells: Sequence[_Cell], tolerance: float) -> _Goals | None:
    """The exponents of d and k: least-squares coefficients of log n_star on the letters that have
    one of their own; None where there is none.
    """
    places = [posterior.asked[cell.goal.i] for cell in cells]
    values = {name: np.array([getattr(a, name) for a in places], float) for name in ("d", "k")}
    letters = varying(values["d"], values["k"])
    if not letters:
        return None
    columns = np.column_stack([np.ones(len(cells)), *(np.log(values[name]) for name in letters)])
    rows = np.linalg.pinv(columns, rcond=1e-6)[1:]
    z = float(ndtri((1 + posterior.confidence) / 2))
    return _Goals(rows, np.full(len(rows), (AIM * tolerance / z) ** 2), own=False)


class _Outlook:
    """Expected variances as points are added.

    Of each cell the covariance of what is to be known with the chances at its points, (cells,
    1 + points, 1 + points), padded with points that tell nothing; between cells the covariance of
    what is to be known, (cells, cells).
    """

    def __init__(self, posterior: Posterior, cells: Sequence[_Cell]) -> None:
        most = max(c.values.shape[1] for c in cells)
        values = np.zeros((len(cells), len(cells[0].values), most))
        self.noise = np.ones((len(cells), most - 1))
        for place, cell in enumerate(cells):
            values[place, :, : cell.values.shape[1]] = cell.values
            self.noise[place, : len(cell.noise)] = cell.noise
        self.own = values.transpose(0, 2, 1) @ values / values.shape[1]
        places = [posterior.cell(c.goal.i) for c in cells]
        scale = np.sqrt(np.array([c.goal.variance for c in cells]))
        self.between = posterior.correlation()[np.ix_(places, places)] * np.outer(scale, scale)
        self._points = {
            (*_place(posterior, cell), n): (number, at)
            for number, cell in enumerate(cells)
            for at, n in reversed(list(enumerate((*cell.n, *cell.pending))))
        }

    @property
    def variances(self) -> Array:
        """Expected variance of each cell's threshold: (cells,)."""
        return np.diag(self.between)

    def shares(self, repeats: int) -> Array:
        """Share of its own cell's variance that trials at each point take away: (cells, points)."""
        chances = self.own[:, 1:, 1:].diagonal(axis1=1, axis2=2)
        whole = (chances + self.noise / repeats + 1e-12) * (self.own[:, 0, 0][:, None] + 1e-300)
        return np.asarray(np.minimum(self.own[:, 0, 1:] ** 2 / whole, 1.0))

    def reach(self, rows: Array) -> Array:
        """Fall of the variance of functionals `rows` (goals, cells) of the thresholds for each
        unit of share taken in a cell: (cells, goals).
        """
        return np.asarray((self.between @ rows.T) ** 2 / (self.variances[:, None] + 1e-300))

    def expect(self, choice: Choice) -> None:
        """Count a pending choice as done; one in a cell without a goal tells nothing here."""
        if (choice.d, choice.k, choice.n) in self._points:
            self.add(*self._points[choice.d, choice.k, choice.n], choice.repeats)

    def add(self, cell: int, point: int, repeats: int) -> None:
        """Count `repeats` trials at a point as done."""
        share = float(self.shares(repeats)[cell, point])
        lost = share * self.between[cell] ** 2 / (self.variances[cell] + 1e-300)
        told = lost / (self.variances + 1e-300)
        told[cell] = 0.0
        lead = self.own[:, :, 0]
        factor = told / (self.own[:, 0, 0] + 1e-300)
        self.own -= factor[:, None, None] * lead[:, :, None] * lead[:, None, :]
        column = self.own[cell, :, 1 + point].copy()
        whole = column[1 + point] + self.noise[cell, point] / repeats + 1e-12
        self.own[cell] -= np.outer(column, column / whole)
        column = self.between[:, cell].copy()
        self.between -= share / (column[cell] + 1e-300) * np.outer(column, column)


def _place(posterior: Posterior, cell: _Cell) -> tuple[int, int]:
    ask = posterior.asked[cell.goal.i]
    return ask.d, ask.k


def _greedy(picker: "_Picker", asked: Sequence[Asked], trials: int) -> list[Choice]:
    """The round: one block after another, until nothing is worth asking or it is full."""
    repeats: dict[tuple[int, int], int] = {}
    left = trials
    while left > 0:
        pick = picker.next(left)
        if pick is None:
            break
        cell, point, count = pick
        picker.take(cell, point, count)
        repeats[cell, point] = repeats.get((cell, point), 0) + count
        left -= count
    if not repeats:
        repeats[picker.least()] = 1
    return [picker.choice(asked, *place, count) for place, count in repeats.items()]


class _Picker:
    """The next block, by what the outlook says now.

    `owed`: trials each cell still lacks before it may be called found on its own word; `room`:
    trials that may still be sent to it before its results are awaited.
    """

    def __init__(
        self,
        outlook: _Outlook,
        cells: Sequence[_Cell],
        goals: _Goals,
        prices: Sequence[Sequence[tuple[float, bool]]],
        posterior: Posterior,
        pending: Sequence[Choice],
    ) -> None:
        self._outlook = outlook
        self._cells = cells
        self._goals = goals
        self._floor = self._now(np.diag([c.goal.variance for c in cells])) / DEEPEST**2
        self._bracketed = np.array([c.goal.bracketed for c in cells])
        self._real = np.zeros(outlook.noise.shape, dtype=bool)
        self._work, self._free = np.ones(outlook.noise.shape), np.ones(outlook.noise.shape)
        self._owed = np.zeros(len(cells), dtype=np.int64)
        self._room = np.full(len(cells), 10**9)
        for place, (cell, row) in enumerate(zip(cells, prices, strict=True)):
            ask = posterior.asked[cell.goal.i]
            count = len(cell.n)
            self._real[place, :count] = True
            self._free[place, :count] = [AT_HAND if free else 1.0 for _, free in row]
            self._work[place, :count] = [work for work, _ in row]
            own = sum(t.trials for t in posterior.own(cell.goal.i))
            flying = sum(c.repeats for c in pending if (c.d, c.k) == (ask.d, ask.k))
            self._owed[place] = max(0, OWN_TRIALS - own - flying)
            if not cell.goal.bracketed:
                self._room[place] = WIDE_TRIALS - flying

    def next(self, left: int) -> tuple[int, int, int] | None:
        """(cell, point, repeats), or None when nothing more is worth asking now."""
        variances = self._now(self._outlook.between)
        excess = variances - self._goals.wanted
        goes_on = (excess > 0) & (variances > self._floor)
        is_open = (goes_on if self._goals.own else np.any(goes_on)) & (self._room > 0)
        wide = is_open & ~self._bracketed
        if wide.any():
            return (*self._best(self._gains(excess, wide, 1) / self._free), 1)
        if is_open.any():
            block = min(BLOCK, left)
            price = self._work * self._free
            single = self._gains(excess, is_open, 1) / price
            several = self._gains(excess, is_open, block) / price
            one, many = self._best(single), self._best(several)
            if several[many] >= BLOCK_KEEPS * block * single[one]:
                return (*many, block)
            return (*one, 1)
        lacking = (self._owed > 0) & (excess <= 0 if self._goals.own else True)
        if lacking.any():
            gains = np.where(lacking[:, None], self._outlook.shares(1), -1.0)
            return (*self._best(gains), min(BLOCK, left))
        return None

    def least(self) -> tuple[int, int]:
        """What to ask when what is in flight should settle everything, so that search goes on."""
        falls = self._outlook.reach(self._goals.rows).sum(1)
        return self._best(self._outlook.shares(1) * falls[:, None])

    def take(self, cell: int, point: int, repeats: int) -> None:
        """Count the block as asked."""
        self._outlook.add(cell, point, repeats)
        self._owed[cell] -= repeats
        self._room[cell] -= repeats

    def choice(self, asked: Sequence[Asked], cell: int, point: int, repeats: int) -> Choice:
        """A block in terms of d, k and n."""
        ask = asked[self._cells[cell].goal.i]
        return Choice(ask.d, ask.k, self._cells[cell].n[point], repeats)

    def _now(self, covariance: Array) -> Array:
        """Variances of the goals: (goals,)."""
        rows = self._goals.rows
        return np.asarray(np.einsum("gi,ij,gj->g", rows, covariance, rows))

    def _best(self, gains: Array) -> tuple[int, int]:
        """The candidate of largest gain."""
        at = int(np.argmax(np.where(self._real, gains, -1.0)))
        return at // gains.shape[1], at % gains.shape[1]

    def _gains(self, excess: Array, of: NDArray[np.bool_], repeats: int) -> Array:
        """Excess variance taken away by each candidate of these cells; -1 for the others."""
        reach = self._outlook.reach(self._goals.rows)
        falls = self._outlook.shares(repeats)[:, :, None] * reach[:, None, :]
        gains = np.minimum(falls, np.maximum(excess, 0.0)).sum(2)
        return np.where(of[:, None], gains, -1.0)
