"""The operations of expressions: exact on fractions, floats where nothing else serves, bounded."""

import ast
import math
import operator
from collections.abc import Callable
from fractions import Fraction

Number = Fraction | float

LARGEST = 10**18
"""The largest value an expression may take, midway included; chosen by hand."""
EXACT_BITS = 512
"""Fractions with longer numerators or denominators are carried on as floats; chosen by hand."""
NEARLY_WHOLE = 1e-9
"""A float this close to a whole number, relatively, counts as it: log(8)/log(2) is 3."""


class ExpressionError(ValueError):
    """An expression that cannot be read, or has no value here; the message says why."""


def floor_of(value: Number) -> int:
    """The largest whole number not above it; nearly whole counts as whole."""
    near = near_whole(value)
    return math.floor(value) if near is None else near


def ceil_of(value: Number) -> int:
    """The smallest whole number not below it; nearly whole counts as whole."""
    near = near_whole(value)
    return math.ceil(value) if near is None else near


def bounded(value: Number) -> Number:
    """The value itself, as a float where the fraction grew long; refused beyond 1e18."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the value is not finite")
    if not -LARGEST <= value <= LARGEST:
        raise ExpressionError("the value exceeds 1e18")
    if isinstance(value, Fraction) and value.denominator.bit_length() > EXACT_BITS:
        return float(value)
    return value


def near_whole(value: Number) -> int | None:
    """The whole number that the value is, or as a float nearly is; else None."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else None
    near = round(value)
    return near if abs(value - near) <= NEARLY_WHOLE * max(1.0, abs(value)) else None


def plainly(value: Number) -> str:
    """The value as people read it, to six digits."""
    return f"{float(value):.6g}"


def _divided(left: Number, right: Number) -> Number:
    if right == 0:
        raise ExpressionError("division by zero")
    return left / right


def _power(base: Number, exponent: Number) -> Number:
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if base < 0 and near_whole(exponent) is None:
        raise ExpressionError("a fractional power of a negative number")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        longest = max(base.numerator.bit_length(), base.denominator.bit_length())
        if longest * abs(exponent) <= EXACT_BITS:
            return base ** int(exponent)
    try:
        value = float(base) ** float(exponent)
    except OverflowError:
        raise ExpressionError("the value exceeds 1e18") from None
    assert isinstance(value, float)
    return value


def _log(value: Number) -> Number:
    if value <= 0:
        raise ExpressionError(f"log of {plainly(value)}")
    return math.log(value)


def _sqrt(value: Number) -> Number:
    if value < 0:
        raise ExpressionError(f"sqrt of {plainly(value)}")
    if isinstance(value, Fraction):
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if (top * top, bottom * bottom) == (value.numerator, value.denominator):
            return Fraction(top, bottom)
    return math.sqrt(value)


def _round(value: Number) -> Number:
    return Fraction(round(value))


def _comb(size: Number, chosen: Number) -> Number:
    """C(size, chosen), stopping as soon as it passes the largest value allowed."""
    top, count = near_whole(size), near_whole(chosen)
    if top is None or count is None or top < 0 or count < 0:
        raise ExpressionError("comb takes whole numbers of at least 0")
    total = 1
    for step in range(1, min(count, max(top - count, 0)) + 1):
        total = total * (top - step + 1) // step
        if total > LARGEST:
            raise ExpressionError("the value exceeds 1e18")
    return Fraction(total if count <= top else 0)


OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided,
    ast.Pow: _power,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
    "log": (1, 1, _log),
    "sqrt": (1, 1, _sqrt),
    "floor": (1, 1, lambda value: Fraction(floor_of(value))),
    "ceil": (1, 1, lambda value: Fraction(ceil_of(value))),
    "round": (1, 1, _round),
    "min": (2, 16, min),
    "max": (2, 16, max),
    "comb": (2, 2, _comb),
}
"""Name to (fewest, most values, function)."""
