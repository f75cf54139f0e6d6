"""From the words of a file to axes, noting every fault on the way."""

from typing import Any

from pydantic import Field

from orchestrator.spec.axes import (
    LETTERS,
    MOST_COUNT,
    Axes,
    Axis,
    Letter,
    Range,
    Spacing,
    Values,
)
from orchestrator.spec.expressions import Expression
from orchestrator.spec.parts import Part
from orchestrator.spec.reading import attempt, check_words, read_part
from orchestrator.spec.wording import Findings, below, shown


def read_axes(found: Any, findings: Findings) -> Axes | None:
    """The axes those words describe; None where a finding says why."""
    if not isinstance(found, dict):
        findings.add("axes", f"expected a mapping of axes, found {shown(found)}")
        return None
    check_words(found, ("d", "k", "n", "points", "zip"), "axes", findings)
    axes: dict[str, Any] = {
        letter: _axis(found[letter], f"axes.{letter}", findings)
        for letter in LETTERS
        if letter in found
    }
    if "points" in found:
        axes["points"] = _points(found["points"], findings)
    if "zip" in found:
        axes["zipped"] = _zipped(found["zip"], findings)
    _check_form(found, findings)
    if findings.touch("axes"):
        return None
    read = Axes(**axes)
    _check_dependence(read, findings)
    return None if findings.touch("axes") else read


def _axis(found: Any, path: str, findings: Findings) -> Axis | None:
    if isinstance(found, dict):
        return _range(found, path, findings)
    if isinstance(found, list):
        return _values(found, path, findings)
    entry = attempt(Expression.of, found, path, findings)
    return None if entry is None else Values((entry,))


def _values(found: list[Any], path: str, findings: Findings) -> Values | None:
    if not found:
        findings.add(path, "an empty axis; give at least one value")
        return None
    read = [
        attempt(Expression.of, one, below(path, place), findings) for place, one in enumerate(found)
    ]
    entries = tuple(entry for entry in read if entry is not None)
    seen: dict[str, int] = {}
    for place, entry in enumerate(read):
        if entry is not None and seen.setdefault(entry.text, place) != place:
            findings.add(below(path, place), f"{entry.text} stands twice in this axis")
    return Values(entries) if entries else None


class _RangeWords(Part):
    low: Any = Field(description="the lowest value")
    high: Any = Field(description="the highest value")
    count: int | None = Field(None, ge=2, le=MOST_COUNT, description="how many values")
    spacing: Spacing = "linear"


def _range(found: dict[str, Any], path: str, findings: Findings) -> Range | None:
    words = read_part(_RangeWords, found, path, findings)
    if words is None:
        return None
    low = attempt(Expression.of, words.low, f"{path}.low", findings)
    high = attempt(Expression.of, words.high, f"{path}.high", findings)
    if words.count is None and path != "axes.n":
        findings.add(f"{path}.count", "missing: how many values; only n may leave it out")
    if low is None or high is None:
        return None
    return Range(low, high, words.count, words.spacing)


def _points(found: Any, findings: Findings) -> tuple[tuple[int, int], ...]:
    if not isinstance(found, list) or not found:
        findings.add("axes.points", "expected a list of pairs [d, k], at least one")
        return ()
    points: list[tuple[int, int]] = []
    for place, one in enumerate(found):
        path = f"axes.points.{place}"
        if isinstance(one, dict):
            check_words(one, ("d", "k"), path, findings)
            one = [one.get("d"), one.get("k")]
        if not isinstance(one, list) or len(one) != 2:
            findings.add(path, f"expected a pair [d, k], found {shown(one)}")
        elif all(_is_count(value) for value in one):
            points.append((int(one[0]), int(one[1])))
        else:
            findings.add(path, f"expected whole d and k of at least 1, found {_pair(one)}")
    if len(set(points)) < len(points):
        twice = next(point for point in points if points.count(point) > 1)
        findings.add("axes.points", f"the point d = {twice[0]}, k = {twice[1]} stands twice")
    return tuple(points)


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and 1 <= value <= 10**9


def _pair(found: list[Any]) -> str:
    return " and ".join(shown(value) for value in found)


def _zipped(found: Any, findings: Findings) -> tuple[tuple[Letter, Values], ...]:
    if not isinstance(found, dict) or len(found) < 2:
        findings.add("axes.zip", "expected a mapping of at least two axes to lists")
        return ()
    check_words(found, LETTERS, "axes.zip", findings)
    zipped: list[tuple[Letter, Values]] = []
    for letter in LETTERS:
        if letter not in found:
            continue
        path, listed = f"axes.zip.{letter}", found[letter]
        if not isinstance(listed, list) or not listed:
            findings.add(path, "expected a list of at least one value")
            continue
        entries = [
            attempt(Expression.of, one, below(path, place), findings)
            for place, one in enumerate(listed)
        ]
        zipped.append((letter, Values(tuple(entry for entry in entries if entry is not None))))
    lengths = {letter: len(values.entries) for letter, values in zipped}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{letter} has {length}" for letter, length in lengths.items())
        findings.once("axes.zip", f"axes that are walked together have one length; {told}")
    return tuple(zipped)


def _check_form(found: dict[str, Any], findings: Findings) -> None:
    zipped = found.get("zip")
    in_zip = frozenset(zipped if isinstance(zipped, dict) else ())
    forms = [form for form in ("d", "points", "zip") if form in found]
    if forms == ["d", "zip"] and "d" not in in_zip:
        forms = ["d"]  # d stands beside a zip of the others
    if len(forms) > 1:
        findings.add("axes", f"{' and '.join(forms)} both say where d stands; keep one")
    elif (forms == ["zip"] and in_zip and "d" not in in_zip) or not forms:
        findings.add("axes.d", "missing: the dimensions, such as [10, 20, 40]")
    for letter in ("k", "n"):
        if letter in found and letter in in_zip:
            findings.add(f"axes.{letter}", f"{letter} is given by zip already; keep one")
        elif letter == "k" and "k" in found and forms == ["points"]:
            findings.add("axes.k", "k is given by points already; keep one")
    if "n" not in {*found, *in_zip}:
        findings.add("axes.n", 'missing: the range of n, such as {low: d, high: "4*d"}')


def _check_dependence(axes: Axes, findings: Findings) -> None:
    zipped = dict(axes.zipped)
    where = {letter: "axes.zip." if letter in zipped else "axes." for letter in LETTERS}
    d, k, n = (zipped.get(letter, getattr(axes, letter)) for letter in LETTERS)
    names = {
        letter: axis.names if axis else frozenset()
        for letter, axis in zip(LETTERS, (d, k, n), strict=True)
    }
    for letter in LETTERS:
        path = f"{where[letter]}{letter}"
        if letter in names[letter]:
            findings.add(path, f"{letter} depends on itself")
        elif letter != "n" and "n" in names[letter]:
            findings.add(path, f"{letter} cannot depend on n")
    if "k" in names["d"] and "d" in names["k"]:
        findings.add(f"{where['k']}k", "d and k depend on each other; give one of them plainly")
    elif "k" in names["d"] and k is None:
        findings.add(f"{where['d']}d", "d depends on k, and there is no k axis")
