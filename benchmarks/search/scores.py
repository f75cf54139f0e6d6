"""Records judged against the truth: errors, coverage, widths, statuses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from benchmarks.search.families import problem
from benchmarks.search.problems import Problem
from benchmarks.search.registry import METHODS
from benchmarks.search.results import Record, Results
from orchestrator.inference.threshold import Status

Array = NDArray[np.float64]

Reader = Literal["informed", "oracle"]
"""Readers of our outcomes who know the curves; the oracle knows the family's law as well."""

ORDINARY_STATUSES: tuple[Status, ...] = ("found", "undecided")

problem_of = cache(problem)
"""Problems are drawn once per table."""


@dataclass(frozen=True)
class Coverage:
    """How many intervals of each problem were counted, and how many held the truth."""

    hits: Array
    counts: Array

    @property
    def share(self) -> float:
        """Share of intervals that hold the truth; nan without intervals."""
        return float(self.hits.sum() / self.counts.sum()) if self.counts.sum() else math.nan

    def chance_of_less(self, rate: float) -> float:
        """Chance of so few hits or fewer if each interval held the truth with probability `rate`.

        Thresholds of one problem hit or miss together, so the number of intervals is divided by
        the design effect (at least 1) before the exact binomial tail is taken (Korn & Graubard
        1998, Survey Methodology 24:193).
        """
        hits, total = self.hits.sum(), self.counts.sum()
        if not total:
            return math.nan
        share = hits / total
        apart = float(((self.hits - share * self.counts) ** 2).sum())
        effect = max(1.0, apart / max(total * share * (1 - share), 1e-12))
        if share == 1.0:
            return 1.0
        n, k = total / effect, hits / effect
        return float(betainc(n - k, k + 1, 1 - rate))


@dataclass(frozen=True)
class Runs:
    """All records of one method on one family, by problem number."""

    method: str
    family: str
    records: dict[int, Record]

    def __len__(self) -> int:
        return len(self.records)

    def first(self, numbers: Sequence[int] | set[int]) -> "Runs":
        """Those of these problems only."""
        kept = {number: row for number, row in self.records.items() if number in numbers}
        return Runs(self.method, self.family, kept)

    def snapshots(self, outcomes: int | None) -> list[tuple[Problem, dict[str, Any]]]:
        """(problem, snapshot) after so many outcomes, or after the last; others are left out."""
        found = []
        for number, record in sorted(self.records.items()):
            key = str(outcomes) if outcomes is not None else max(record["at"], key=int)
            if key in record["at"]:
                found.append((problem_of(self.family, number), record["at"][key]))
        return found

    @cached_property
    def marks(self) -> list[int]:
        """Outcomes at which every record was looked at."""
        sets = [set(record["at"]) for record in self.records.values()]
        return sorted(int(mark) for mark in set.intersection(*sets)) if sets else []

    def errors(self, outcomes: int | None, readings: Sequence[str] = ("x",)) -> Array:
        """Root mean square error of each problem, nats, by the reading of least median.

        Empty where no record has such a snapshot or such a reading.
        """
        found = self.snapshots(outcomes)
        by_reading = [
            np.array([_error(p, _reading(row, name)) for p, row in found])
            for name in readings
            if found and all(name == "x" or name in row.get("readings", {}) for _, row in found)
        ]
        if not by_reading:
            return np.array([])
        return min(by_reading, key=lambda errors: float(np.median(errors)))

    def work(self, outcomes: int | None) -> float:
        """Median work of a problem."""
        return float(np.median([row["work"] for _, row in self.snapshots(outcomes)]))

    def coverage(self, outcomes: int | None) -> Coverage:
        """Over thresholds reported found or undecided, with an interval, truth inside the range."""
        rows = [_held(p, row) for p, row in self.snapshots(outcomes)]
        hits, counts = np.array(rows, dtype=np.float64).reshape(-1, 2).T
        return Coverage(hits, counts)

    def widths(self, outcomes: int | None, reader: Reader) -> tuple[Array, Array]:
        """Widths in nats of our intervals and of a reader's of the same outcomes."""
        pairs = [pair for p, row in self.snapshots(outcomes) for pair in _widths(p, row, reader)]
        own, theirs = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return own, theirs

    def mislabelled(self, outcomes: int | None) -> tuple[int, int]:
        """Ordinary thresholds that were called anything else, and how many there are."""
        said = [
            row["status"][i]
            for p, row in self.snapshots(outcomes)
            for i in range(len(p.asked))
            if p.status(i) == "found"
        ]
        return sum(status not in ORDINARY_STATUSES for status in said), len(said)

    def labelled(self, outcomes: int | None) -> tuple[int, int]:
        """Problems in which all odd thresholds were called what they are, and how many."""
        right = [
            all(p.odd[i] in (None, said) for i, said in enumerate(row["status"]))
            for p, row in self.snapshots(outcomes)
        ]
        return sum(right), len(right)


class Book:
    """All records, each file read once.

    Of each method the present version is shown, or, where there are no records of it (a peer that
    is not installed here, or inference changed since), the version with most records.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self._versions: dict[str, str | None] = {}
        self._runs: dict[tuple[str, str], Runs] = {}

    def version(self, method: str) -> str | None:
        """The version that is shown."""
        if method not in self._versions:
            known, present = self._results.versions(method), METHODS[method].version()
            shown = present if present in known or not known else known.most_common(1)[0][0]
            self._versions[method] = shown
        return self._versions[method]

    def runs(self, method: str, family: str) -> Runs:
        """The records of one method on one family."""
        key = method, family
        if key not in self._runs:
            records = self._results.records(method, family, self.version(method))
            self._runs[key] = Runs(method, family, records)
        return self._runs[key]


def _reading(row: dict[str, Any], name: str) -> Sequence[float | None]:
    values: Sequence[float | None] = row["x"] if name == "x" else row["readings"][name]
    return values


def _error(p: Problem, estimates: Sequence[float | None]) -> float:
    """Both clipped to the range; the middle of it where nothing is said."""
    gaps = []
    for i, estimate in enumerate(estimates):
        low, high = p.bounds(i)
        said = min(max((low + high) / 2 if estimate is None else estimate, low), high)
        first, last = (min(max(end, low), high) for end in p.curves[i].truth)
        gaps.append(max(first - said, said - last, 0.0))
    return float(np.sqrt(np.mean(np.square(gaps))))


def _counted(p: Problem, row: dict[str, Any]) -> list[int]:
    """Thresholds whose interval counts."""
    if "low" not in row:
        return []
    return [
        i
        for i, (low, high) in enumerate(zip(row["low"], row["high"], strict=True))
        if p.status(i) == "found"
        and low is not None
        and high is not None
        and ("status" not in row or row["status"][i] in ORDINARY_STATUSES)
    ]


def _held(p: Problem, row: dict[str, Any]) -> tuple[int, int]:
    counted = _counted(p, row)
    held = 0
    for i in counted:
        first, last = p.curves[i].truth
        held += row["low"][i] <= last and first <= row["high"][i]
    return held, len(counted)


def _widths(p: Problem, row: dict[str, Any], reader: Reader) -> list[tuple[float, float]]:
    if reader not in row:
        return []
    low, high = row[reader]
    return [(row["high"][i] - row["low"][i], high[i] - low[i]) for i in _counted(p, row)]


def outcomes_to_reach(runs: Runs, error: float, readings: Sequence[str] = ("x",)) -> float:
    """Outcomes at which the median error falls to `error`, interpolated in logarithms.

    The first mark where it is lower there already, infinite where it is never reached.
    """
    medians = np.array([np.median(runs.errors(mark, readings)) for mark in runs.marks])
    reached = np.flatnonzero(medians <= error)
    if not len(reached):
        return math.inf
    at = int(reached[0])
    if at == 0:
        return float(runs.marks[0])
    x, y = np.log(runs.marks[at - 1 : at + 1]), np.log(medians[at - 1 : at + 1])
    return float(np.exp(np.interp(-math.log(error), -y, x)))


def work_at(runs: Runs, outcomes: float) -> float:
    """Median work after so many outcomes, interpolated between marks."""
    if not math.isfinite(outcomes):
        return math.inf
    return float(np.interp(outcomes, runs.marks, [runs.work(mark) for mark in runs.marks]))


def bound(runs: Runs, error: float) -> float:
    """Outcomes without which no unbiased estimate has this median error (Cramér-Rao).

    All at the crossing, where it is known already: outcomes N give errors N(0, 1 / (N I)).
    """
    informed = [problem_of(runs.family, number).curves[0].information for number in runs.records]
    normal = np.abs(np.random.default_rng(0).normal(size=(1000, 1)))
    return float((np.median(normal / np.sqrt(informed)) / error) ** 2)
