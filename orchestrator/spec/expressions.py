"""Arithmetic of d, k and n as an experiment file writes it: `2*d`, `d/10`, `comb(d, k)`.

Read by Python's own parser, then walked against a short list of what is allowed; nothing is ever
executed. Whole numbers and fractions are exact, so `d/10` is whole exactly when it is; `log`,
`sqrt` of anything but a square, and fractional powers are floats. `log` is natural; `round` takes a
half to the even neighbour. Values beyond 1e18 are refused, which bounds the cost of everything.
"""

import ast
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from orchestrator.spec.arithmetic import (
    COMPARISONS,
    FUNCTIONS,
    LARGEST,
    OPERATIONS,
    ExpressionError,
    Number,
    bounded,
    near_whole,
    plainly,
)
from orchestrator.spec.wording import looks_numeric, number, quoted, shown

_T = TypeVar("_T")

LONGEST = 200
"""Characters of an expression; chosen by hand."""


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
        if (near := near_whole(value)) is None:
            if not self.names and isinstance(self.as_word, float):
                raise ExpressionError(f"expected a whole number, found {number(self.as_word)}")
            raise ExpressionError(
                f"{self.text} is {plainly(value)}{_where(values)}, which is not whole; "
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
    if not all(type(op) in COMPARISONS for op in tree.ops):
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
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            _check_arithmetic(left)
            _check_arithmetic(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _check_call(name, args)
        case _:
            raise ExpressionError(
                f"{quoted(ast.unparse(tree))} is not arithmetic; use + - * / ** and "
                f"{', '.join(FUNCTIONS)}"
            )


def _check_call(name: str, args: list[ast.expr]) -> None:
    if name not in FUNCTIONS:
        raise ExpressionError(f"unknown function {name!r}; known: {', '.join(FUNCTIONS)}")
    fewest, most, _ = FUNCTIONS[name]
    if not fewest <= len(args) <= most:
        count = str(fewest) if fewest == most else f"{fewest} or more"
        raise ExpressionError(f"{name} takes {count} value{'s' * (most > 1)}, found {len(args)}")
    for arg in args:
        _check_arithmetic(arg)


def _names(tree: ast.expr) -> frozenset[str]:
    return frozenset(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id not in FUNCTIONS
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
            return bounded(OPERATIONS[type(op)](_value(left, values), _value(right, values)))
        case ast.Call(func=ast.Name(id=name), args=args):
            return bounded(FUNCTIONS[name][2](*(_value(arg, values) for arg in args)))
    raise AssertionError(ast.dump(tree))


def _truth(tree: ast.expr, values: Mapping[str, int]) -> bool:
    if isinstance(tree, ast.BoolOp):
        return all(_truth(part, values) for part in tree.values)
    assert isinstance(tree, ast.Compare)
    sides = [_value(side, values) for side in (tree.left, *tree.comparators)]
    return all(
        COMPARISONS[type(op)](left, right)
        for op, left, right in zip(tree.ops, sides, sides[1:], strict=False)
    )
