"""Between Optuna's distributions and the numbers that inference works with."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Context = tuple[Any, ...]
"""Values of the context parameters, in the order in which the sampler was given their names."""

Range = tuple[int, int]
"""Lowest and highest n, both included."""

LEVELS = 8
"""Thresholds asked along a context that is a range instead of a list. Chosen by hand."""

RESOLUTION = 1_000_000
"""Contexts that are not whole numbers are told apart to one part in this, of the smallest."""

SAME = 1e-12
"""Numbers this close, relatively, are one: 0.1 + 0.2 and 0.3 differ by rounding alone."""


@dataclass(frozen=True)
class Names:
    """Which suggested parameters mean what."""

    n: str
    context: tuple[str, ...]

    def chosen(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the context that are among `params`, by name."""
        return {name: params[name] for name in self.context if name in params}

    def context_of(self, params: Mapping[str, Any]) -> Context | None:
        """The values of the context; None when one is missing."""
        if any(name not in params for name in self.context):
            return None
        return tuple(params[name] for name in self.context)

    def params(self, context: Context) -> dict[str, Any]:
        """The inverse: values by name."""
        return dict(zip(self.context, context, strict=True))

    def reaches(
        self, context: Context, params: Mapping[str, Any], name: str, offered: Sequence[Any]
    ) -> bool:
        """Whether a trial with `params` can come to `context` by a value of `name` on offer."""
        wanted = self.params(context)
        fixed = all(wanted[other] == params[other] for other in wanted if other in params)
        return fixed and wanted[name] in offered


def levels(distribution: BaseDistribution) -> tuple[Any, ...]:
    """The values of a context parameter at which thresholds are asked.

    Every choice of a categorical; of an int or float range all its steps where they are `LEVELS`
    or fewer, else `LEVELS` of them, evenly spaced (in logarithms for `log=True`), ends included.
    """
    if isinstance(distribution, CategoricalDistribution):
        return tuple(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None and (high - low) / step < LEVELS:
        count = math.floor((high - low) / step + 1e-9) + 1
        return tuple(_admissible(distribution, low + step * i) for i in range(count))
    spaced = np.geomspace if distribution.log else np.linspace
    values = [_admissible(distribution, value) for value in spaced(low, high, LEVELS)]
    return tuple(dict.fromkeys(values))


def span(distribution: BaseDistribution) -> Range:
    """The whole numbers n between the ends of a distribution.

    Raises `ValueError` when it has values that are no amounts: below 1, or not numbers.
    """
    ends = _amounts(distribution)
    low, high = math.ceil(min(ends)), math.floor(max(ends))
    if low < 1 or high < low:
        raise ValueError(
            f"n counts examples, so its range holds whole numbers from 1; got {ends!r}"
        )
    return low, high


def common(ends: Range, others: Range) -> Range:
    """The range that both hold; `ends` where there is none."""
    low, high = max(ends[0], others[0]), min(ends[1], others[1])
    return (low, high) if low <= high else ends


def nearest(distribution: BaseDistribution, n: int) -> Any:
    """The admissible value of n nearest to `n` in logarithms."""
    if isinstance(distribution, CategoricalDistribution):
        return min(_amounts(distribution), key=lambda choice: abs(math.log(choice / n)))
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return _admissible(distribution, n)


def _amounts(distribution: BaseDistribution) -> Sequence[float]:
    """The choices of a categorical, or the two ends of a range."""
    if not isinstance(distribution, CategoricalDistribution):
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        return (distribution.low, distribution.high)
    choices = distribution.choices
    amounts = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    if len(amounts) < len(choices):
        raise ValueError(f"n counts examples: numbers, not one of {choices!r}")
    return amounts


def _admissible(distribution: IntDistribution | FloatDistribution, value: float) -> Any:
    """`value` moved to the nearest step within the ends, as Python's int or float."""
    value = min(max(float(value), distribution.low), distribution.high)
    if distribution.step is not None:
        steps = round((value - distribution.low) / distribution.step)
        last = math.floor((distribution.high - distribution.low) / distribution.step + 1e-9)
        value = distribution.low + min(steps, last) * distribution.step
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


class Place(NamedTuple):
    """Where a context stands for inference: contexts of one group share what is learned."""

    group: Context
    d_k: tuple[int, int]


def coordinates(contexts: Sequence[Context]) -> dict[Context, Place]:
    """Where each context stands.

    The first two parameters whose values are all positive numbers become d and k, along which
    thresholds share what is learned; the others split contexts into groups that share nothing.
    Numbers that are not whole are scaled to whole ones, which only shifts their logarithm.

    Raises `ValueError` when two of those lie too close together to be told apart.
    """
    width = len(contexts[0]) if contexts else 0
    numeric = [j for j in range(width) if _is_amount(context[j] for context in contexts)][:2]
    columns = [_whole([context[j] for context in contexts]) for j in numeric]
    columns += [[1] * len(contexts)] * (2 - len(columns))
    return {
        context: Place(tuple(v for j, v in enumerate(context) if j not in numeric), (d, k))
        for context, d, k in zip(contexts, *columns, strict=True)
    }


def _is_amount(values: Iterable[Any]) -> bool:
    return all(
        isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < math.inf for v in values
    )


def _whole(values: Sequence[float]) -> list[int]:
    if all(value == round(value) for value in values):
        return [int(value) for value in values]
    smallest = min(values)
    whole = [round(RESOLUTION * value / smallest) for value in values]
    first: dict[int, float] = {}
    for value, rounded in zip(values, whole, strict=True):
        other = first.setdefault(rounded, value)
        if not math.isclose(value, other, rel_tol=SAME):
            raise ValueError(
                f"the context values {other!r} and {value!r} are too close to be told apart: "
                f"values that are not whole are kept to {1 / RESOLUTION:g} of the smallest, "
                f"{smallest!r}; give the context in other units, or as text"
            )
    return whole
