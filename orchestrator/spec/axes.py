"""Where thresholds are sought: the axes d, k and n, and the points they span.

An axis is a number, an expression of other axes, a list of those, or a range. d and k may depend on
each other one way; n may depend on both. Nothing depends on the order in which a file names them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from orchestrator.inference.ladder import rungs
from orchestrator.spec.arithmetic import ExpressionError, Number, ceil_of, floor_of
from orchestrator.spec.expressions import Expression
from orchestrator.spec.wording import Findings, below, number

LARGEST = 10**9
"""The largest d, n or k; chosen by hand, well beyond what any machine here trains."""
MOST_POINTS = 10_000
"""Pairs (d, k) of one arm; chosen by hand."""
MOST_COUNT = 10_000
"""Values of one axis; chosen by hand."""

Spacing = Literal["linear", "log"]
Letter = Literal["d", "k", "n"]
LETTERS: tuple[Letter, ...] = ("d", "k", "n")


@dataclass(frozen=True)
class Values:
    """An axis as the values it takes."""

    entries: tuple[Expression, ...]

    @property
    def names(self) -> frozenset[str]:
        """Axes these values depend on."""
        return frozenset().union(*(entry.names for entry in self.entries))

    @property
    def as_word(self) -> list[int | float | str]:
        """What a file would say."""
        return [entry.as_word for entry in self.entries]


@dataclass(frozen=True)
class Range:
    """An axis from `low` to `high`, both included and rounded inward.

    `count` values, `spacing` apart in n or in log n, rounded to the nearest whole number; values
    that fall together count once. Without a count, which only n may lack, a grid takes every step
    of the ladder that the threshold search climbs.
    """

    low: Expression
    high: Expression
    count: int | None = None
    spacing: Spacing = "linear"

    @property
    def names(self) -> frozenset[str]:
        """Axes its ends depend on."""
        return self.low.names | self.high.names

    @property
    def as_word(self) -> dict[str, Any]:
        """What a file would say."""
        count = {} if self.count is None else {"count": self.count}
        ends = {"low": self.low.as_word, "high": self.high.as_word}
        return {**ends, **count, "spacing": self.spacing}


Axis = Values | Range


@dataclass(frozen=True)
class Axes:
    """The axes of an experiment.

    Exactly one of three forms: d (and k) as a product, `points` as pairs (d, k), or `zipped`, axes
    of equal length that are walked together. A letter that is not zipped stands beside, and takes
    all its values at every step of the walk; n stands beside points too.
    """

    d: Axis | None = None
    k: Axis | None = None
    n: Axis | None = None
    points: tuple[tuple[int, int], ...] = ()
    zipped: tuple[tuple[Letter, Values], ...] = ()

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say, in a fixed order."""
        words: dict[str, Any] = {}
        if self.points:
            words["points"] = [list(point) for point in self.points]
        if self.zipped:
            words["zip"] = {letter: values.as_word for letter, values in self.zipped}
        for letter in LETTERS:
            axis: Axis | None = getattr(self, letter)
            if axis is not None:
                words[letter] = axis.as_word
        return words

    def pairs(self, default_k: int, findings: Findings) -> list[tuple[int, int]]:
        """Every (d, k), each once, in the order of the file; problems go to `findings`."""
        return list(dict.fromkeys((d, k) for d, k, _ in self._walk(default_k, findings)))

    def n_values(self, d: int, k: int, default_k: int, findings: Findings) -> tuple[int, ...]:
        """The n of a grid at (d, k), ascending."""
        if self._zips_n:
            walked = self._walk(default_k, findings)
            return tuple(sorted({n for at_d, at_k, n in walked if (at_d, at_k) == (d, k) and n}))
        if self.n is None:
            return ()
        return tuple(sorted(set(_spread(self.n, "axes.n", {"d": d, "k": k}, findings))))

    def n_range(self, d: int, k: int, default_k: int, findings: Findings) -> tuple[int, int] | None:
        """The lowest and highest n at (d, k); None where a finding says why."""
        if isinstance(self.n, Range):
            return _ends(self.n, "axes.n", {"d": d, "k": k}, findings)
        values = self.n_values(d, k, default_k, findings)
        return (values[0], values[-1]) if values else None

    @property
    def _zips_n(self) -> bool:
        return any(letter == "n" for letter, _ in self.zipped)

    def _walk(self, default_k: int, findings: Findings) -> Iterator[tuple[int, int, int | None]]:
        if self.points:
            yield from ((d, k, None) for d, k in self.points)
        elif self.zipped:
            yield from self._walk_zipped(default_k, findings)
        elif self.d is not None:
            yield from ((d, k, None) for d, k in self._product(default_k, findings))

    def _walk_zipped(
        self, default_k: int, findings: Findings
    ) -> Iterator[tuple[int, int, int | None]]:
        letters: dict[Letter, Axis] = dict(self.zipped)
        letters |= {"d": self.d} if self.d is not None else {}
        letters |= {"k": self.k} if self.k is not None else {}
        for place in range(len(self.zipped[0][1].entries)):
            rows: list[dict[str, int]] = [{} if "k" in letters else {"k": default_k}]
            for letter in _by_dependence(letters):
                if not rows and not letters[letter].names:  # its faults are to be told as well
                    self._at(letter, letters[letter], place, {}, findings)
                rows = [
                    {**row, letter: value}
                    for row in rows
                    for value in self._at(letter, letters[letter], place, row, findings)
                ]
            yield from ((row["d"], row["k"], row.get("n")) for row in rows)

    def _at(
        self,
        letter: Letter,
        axis: Axis,
        place: int,
        values: Mapping[str, int],
        findings: Findings,
    ) -> Sequence[int]:
        """The values of an axis at one step of the walk: one if it is zipped, else all it has."""
        zipped = dict(self.zipped).get(letter)
        if zipped is None:
            return _spread(axis, f"axes.{letter}", values, findings)
        value = _whole(zipped.entries[place], f"axes.zip.{letter}.{place}", values, findings)
        return () if value is None else (value,)

    def _product(self, default_k: int, findings: Findings) -> Iterator[tuple[int, int]]:
        assert self.d is not None
        if self.k is None:
            for d in _spread(self.d, "axes.d", {}, findings):
                yield d, default_k
        elif "k" in self.d.names:
            for k in _spread(self.k, "axes.k", {}, findings):
                for d in _spread(self.d, "axes.d", {"k": k}, findings):
                    yield d, k
        else:
            for d in _spread(self.d, "axes.d", {}, findings):
                for k in _spread(self.k, "axes.k", {"d": d}, findings):
                    yield d, k

    @property
    def most_pairs(self) -> int:
        """An upper bound on the number of (d, k), known without listing them."""
        if self.points:
            return len(self.points)
        if self.zipped:
            beside = _length(self.d) * _length(self.k)
            return len(self.zipped[0][1].entries) * beside
        return _length(self.d) * _length(self.k)


def _length(axis: Axis | None) -> int:
    if isinstance(axis, Values):
        return len(axis.entries)
    return 1 if axis is None else axis.count or 1


def _by_dependence(letters: Mapping[Letter, Axis]) -> list[Letter]:
    order: list[Letter] = ["k", "d", "n"] if "k" in letters["d"].names else ["d", "k", "n"]
    return [letter for letter in order if letter in letters]


def _spread(axis: Axis, path: str, values: Mapping[str, int], findings: Findings) -> Sequence[int]:
    if isinstance(axis, Range):
        ends = _ends(axis, path, values, findings)
        return spaced(*ends, axis.count, axis.spacing) if ends else ()
    single = len(axis.entries) == 1  # a file may have written it without a list
    found = [
        _whole(entry, path if single else below(path, place), values, findings)
        for place, entry in enumerate(axis.entries)
    ]
    return [value for value in found if value is not None]


def _whole(
    entry: Expression, path: str, values: Mapping[str, int], findings: Findings
) -> int | None:
    try:
        value = entry.whole_at(**values)
    except ExpressionError as fault:
        findings.once(path, str(fault))
        return None
    return value if _in_bounds(value, entry, path, values, findings) else None


def _ends(
    axis: Range, path: str, values: Mapping[str, int], findings: Findings
) -> tuple[int, int] | None:
    low = _end(axis.low, f"{path}.low", values, findings)
    high = _end(axis.high, f"{path}.high", values, findings)
    if low is None or high is None:
        return None
    first, last = ceil_of(low), floor_of(high)
    where = _where(values)
    if first > last:
        findings.once(
            path,
            f"low is {number(float(low))} and high is {number(float(high))}{where}; "
            "no whole number lies between them",
        )
        return None
    if not _in_bounds(first, axis.low, f"{path}.low", values, findings):
        return None
    return (first, last) if _in_bounds(last, axis.high, f"{path}.high", values, findings) else None


def _end(
    entry: Expression, path: str, values: Mapping[str, int], findings: Findings
) -> Number | None:
    try:
        return entry.at(**values)
    except ExpressionError as fault:
        findings.once(path, str(fault))
        return None


def _in_bounds(
    value: int, entry: Expression, path: str, values: Mapping[str, int], findings: Findings
) -> bool:
    if 1 <= value <= LARGEST:
        return True
    found = f"{entry.text} is {value}{_where(values)}" if entry.names else f"found {value}"
    findings.once(path, f"expected at least 1 and at most {LARGEST:,}, {found}")
    return False


def _where(values: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} = {value}" for name, value in values.items())
    return f" at {told}" if told else ""


@lru_cache(maxsize=1024)
def spaced(low: int, high: int, count: int | None, spacing: Spacing) -> tuple[int, ...]:
    """Whole numbers from low to high, both included: `count` of them, or every rung."""
    if count is None:
        return tuple(int(rung) for rung in rungs(low, high))
    if count == 1 or low == high:
        return (low,)
    if spacing == "log":
        steps = [low * (high / low) ** (place / (count - 1)) for place in range(count)]
    else:
        steps = [low + (high - low) * place / (count - 1) for place in range(count)]
    whole = (min(high, max(low, math.floor(step + 0.5))) for step in steps)
    return tuple(dict.fromkeys(whole))
