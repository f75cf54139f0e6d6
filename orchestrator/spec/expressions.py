"""Arithmetic of d, k and n as an experiment file writes it: `2*d`, `d/10`, `comb(d, k)`.

Read by Python's own parser, then walked against a short list of what is allowed; nothing is ever
executed. Whole numbers and fractions are exact, so `d/10` is whole exactly when it is; `log`,
`sqrt` of anything but a square, and fractional powers are floats. `log` is natural; `round` takes a
half to the even neighbour. Values beyond 1e18 are refused, which bounds the cost of everything.
"""

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from orchestrator.spec.wording import looks_numeric, number, quoted, shown

Number = Fraction | float
_T = TypeVar("_T")

LONGEST = 200
"""Characters of an expression; chosen by hand."""
LARGEST = 10**18
"""The largest value an expression may take, midway included; chosen by hand."""
EXACT_BITS = 512
"""Fractions with longer numerators or denominators are carried on as floats; chosen by hand."""
NEARLY_WHOLE = 1e-9
"""A float this close to a whole number, relatively, counts as it: log(8)/log(2) is 3."""


class ExpressionError(ValueError):
    """An expression that cannot be read, or has no value here; the message says why."""


@dataclass(frozen=True)
class Expression:
    """A number or a formula in d, k and n. Equal formulas have equal `text`."""

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(compare=False, repr=False)

    @classmethod
    def of(cls, found: object) -> "Expression":
        """Read a number or a formula. Raises `ExpressionError`; a quoted number is one."""
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            raise ExpressionError(f"expected a number or an expression, found {shown(found)}")
        if isinstance(found, str) and looks_numeric(found):
            raise ExpressionError(f"found the text {quoted(found)}; write it without quotes")
        tree = _parsed(found if isinstance(found, str) else _literal(found))
        _check(tree, condition=False)
        return cls(ast.unparse(tree), _names(tree), tree)

    @property
    def as_word(self) -> int | float | str:
        """What a file would say: a number where it is one, else the formula's text."""
        if self.names or not looks_numeric(self.text):
            return self.text
        value = _value(self._tree, {})
        return int(value) if value == int(value) else float(value)

    def at(self, **values: int) -> Number:
        """Its value, a Fraction where exact. Raises `ExpressionError` where it has none."""
        return _in_words(self.text, values, lambda: _value(self._tree, values))

    def whole_at(self, **values: int) -> int:
        """Its value where that is whole. Raises `ExpressionError` where it is not."""
        value = self.at(**values)
        if (near := _whole(value)) is None:
            if not self.names and isinstance(self.as_word, float):
                raise ExpressionError(f"expected a whole number, found {number(self.as_word)}")
            raise ExpressionError(
                f"{self.text} is {_plainly(value)}{_where(values)}, which is not whole; "
                "wrap it in floor, ceil or round"
            )
        return near

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Condition:
    """A comparison of expressions, or several joined by `and`: `k == d/10 and d >= 50`."""

    text: str
    names: frozenset[str]
    _tree: ast.expr = field(compare=False, repr=False)

    @classmethod
    def of(cls, found: object) -> "Condition":
        """Read a condition. Raises `ExpressionError`."""
        if not isinstance(found, str):
            raise ExpressionError(f"expected a condition such as 'k == 2', found {shown(found)}")
        tree = _parsed(found)
        _check(tree, condition=True)
        return cls(ast.unparse(tree), _names(tree), tree)

    def holds(self, **values: int) -> bool:
        """Whether it is true. Raises `ExpressionError` where a side has no value."""
        return _in_words(self.text, values, lambda: _truth(self._tree, values))


def floor_of(value: Number) -> int:
    """The largest whole number not above it; nearly whole counts as whole."""
    near = _whole(value)
    return math.floor(value) if near is None else near


def ceil_of(value: Number) -> int:
    """The smallest whole number not below it; nearly whole counts as whole."""
    near = _whole(value)
    return math.ceil(value) if near is None else near


# Reading

_TOKEN = re.compile(
    r"\s+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?(?![\w.])|[A-Za-z]+(?!\w)"
    r"|\*\*|==|<=|>=|[-+*/(),<>]"
)
_INSTEAD = {
    "^": "write ** for a power",
    "%": "remainders are not offered",
    "=": "write == to compare",
    "!": "only == < <= > >= compare",
    ".": "only numbers have a point",
    "[": "write round brackets",
    "&": "write 'and'",
}


def _literal(value: float) -> str:
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ExpressionError(f"expected a number of at most 1e18, found {shown(value)}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value)


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise ExpressionError(f"{len(text)} characters; an expression has at most {LONGEST}")
    if not text.strip():
        raise ExpressionError("expected an expression, found empty text")
    _check_tokens(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ExpressionError(f"cannot read {quoted(text)} as an expression") from None


def _check_tokens(text: str) -> None:
    # Before Python sees the text: its parser folds look-alike letters into ASCII ones, and reads
    # 1_000, 0x10 and 1e999999999, none of which belong here.
    place, previous = 0, ""
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            reason = _INSTEAD.get(text[place], "")
            hint = f"; {reason}" if reason else ""
            raise ExpressionError(
                f"cannot read {quoted(text[place : place + 10])} in {quoted(text)}{hint}"
            )
        if found[0] == previous == "/":
            raise ExpressionError(f"cannot read '//' in {quoted(text)}; write floor(a / b)")
        place, previous = found.end(), found[0]


def _check(tree: ast.expr, *, condition: bool) -> None:
    if condition:
        parts = tree.values if isinstance(tree, ast.BoolOp) else [tree]
        if isinstance(tree, ast.BoolOp) and not isinstance(tree.op, ast.And):
            raise ExpressionError("only 'and' joins conditions")
        for part in parts:
            if not isinstance(part, ast.Compare):
                raise ExpressionError(
                    f"{quoted(ast.unparse(part))} is not a comparison; use == < <= > >="
                )
            _check_comparison(part)
    else:
        _check_arithmetic(tree)


def _check_comparison(tree: ast.Compare) -> None:
    if not all(type(op) in _COMPARISONS for op in tree.ops):
        raise ExpressionError("only == < <= > >= compare")
    for side in (tree.left, *tree.comparators):
        _check_arithmetic(side)


def _check_arithmetic(tree: ast.expr) -> None:
    match tree:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if abs(value) > LARGEST:
                raise ExpressionError("a number above 1e18")
        case ast.Name(id=name):
            if name not in ("d", "k", "n"):
                raise ExpressionError(f"unknown name {name!r}; known names: d, k, n")
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check_arithmetic(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            _check_arithmetic(left)
            _check_arithmetic(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _check_call(name, args)
        case _:
            raise ExpressionError(
                f"{quoted(ast.unparse(tree))} is not arithmetic; use + - * / ** and "
                f"{', '.join(_FUNCTIONS)}"
            )


def _check_call(name: str, args: list[ast.expr]) -> None:
    if name not in _FUNCTIONS:
        raise ExpressionError(f"unknown function {name!r}; known: {', '.join(_FUNCTIONS)}")
    fewest, most, _ = _FUNCTIONS[name]
    if not fewest <= len(args) <= most:
        count = str(fewest) if fewest == most else f"{fewest} or more"
        raise ExpressionError(f"{name} takes {count} value{'s' * (most > 1)}, found {len(args)}")
    for arg in args:
        _check_arithmetic(arg)


def _names(tree: ast.expr) -> frozenset[str]:
    return frozenset(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id not in _FUNCTIONS
    )


# Evaluating


def _in_words(text: str, values: Mapping[str, int], work: Callable[[], _T]) -> _T:
    try:
        return work()
    except ExpressionError as fault:
        raise ExpressionError(f"{text}{_where(values)}: {fault}") from None


def _where(values: Mapping[str, int]) -> str:
    return f" at {', '.join(f'{name} = {values[name]}' for name in values)}" if values else ""


def _value(tree: ast.expr, values: Mapping[str, int]) -> Number:
    match tree:
        case ast.Constant(value=value):
            return Fraction(repr(value))
        case ast.Name(id=name):
            if name not in values:
                raise ExpressionError(f"{name} has no value here")
            return Fraction(values[name])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, values)
        case ast.UnaryOp(operand=operand):
            return _value(operand, values)
        case ast.BinOp(left=left, op=op, right=right):
            return _bounded(_OPERATIONS[type(op)](_value(left, values), _value(right, values)))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _bounded(_FUNCTIONS[name][2](*(_value(arg, values) for arg in args)))
    raise AssertionError(ast.dump(tree))


def _truth(tree: ast.expr, values: Mapping[str, int]) -> bool:
    if isinstance(tree, ast.BoolOp):
        return all(_truth(part, values) for part in tree.values)
    assert isinstance(tree, ast.Compare)
    sides = [_value(side, values) for side in (tree.left, *tree.comparators)]
    return all(
        _COMPARISONS[type(op)](left, right)
        for op, left, right in zip(tree.ops, sides, sides[1:], strict=False)
    )


def _bounded(value: Number) -> Number:
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError("the value is not finite")
    if not -LARGEST <= value <= LARGEST:
        raise ExpressionError("the value exceeds 1e18")
    if isinstance(value, Fraction) and value.denominator.bit_length() > EXACT_BITS:
        return float(value)
    return value


def _whole(value: Number) -> int | None:
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else None
    near = round(value)
    return near if abs(value - near) <= NEARLY_WHOLE * max(1.0, abs(value)) else None


def _plainly(value: Number) -> str:
    return f"{float(value):.6g}"


def _divided(left: Number, right: Number) -> Number:
    if right == 0:
        raise ExpressionError("division by zero")
    return left / right


def _power(base: Number, exponent: Number) -> Number:
    if base == 0 and exponent < 0:
        raise ExpressionError("division by zero")
    if base < 0 and _whole(exponent) is None:
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
        raise ExpressionError(f"log of {_plainly(value)}")
    return math.log(value)


def _sqrt(value: Number) -> Number:
    if value < 0:
        raise ExpressionError(f"sqrt of {_plainly(value)}")
    if isinstance(value, Fraction):
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if (top * top, bottom * bottom) == (value.numerator, value.denominator):
            return Fraction(top, bottom)
    return math.sqrt(value)


def _round(value: Number) -> Number:
    return Fraction(round(value))


def _comb(size: Number, chosen: Number) -> Number:
    """C(size, chosen), stopping as soon as it passes the largest value allowed."""
    top, count = _whole(size), _whole(chosen)
    if top is None or count is None or top < 0 or count < 0:
        raise ExpressionError("comb takes whole numbers of at least 0")
    total = 1
    for step in range(1, min(count, max(top - count, 0)) + 1):
        total = total * (top - step + 1) // step
        if total > LARGEST:
            raise ExpressionError("the value exceeds 1e18")
    return Fraction(total if count <= top else 0)


_OPERATIONS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: operator.eq,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Number]]] = {
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
