"""Goals beside results, one line each."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """What was measured, what it should be, what it is. Without a goal it is only told."""

    what: str
    result: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the result is on the right side of its goal."""
        low = self.at_least is None or self.result >= self.at_least
        return low and (self.at_most is None or self.result <= self.at_most)

    @property
    def _goal(self) -> str:
        if self.at_least is not None:
            return f">= {_number(self.at_least)}"
        return "" if self.at_most is None else f"<= {_number(self.at_most)}"

    def __str__(self) -> str:
        verdict = "" if not self._goal else "met" if self.is_met else "MISSED"
        result = f"{_number(self.result)} {self.unit}".strip()
        note = f"  ({self.note})" if self.note else ""
        return f"{self.what:58}{self._goal:>12}{result:>20}  {verdict}{note}".rstrip()


def show(title: str, lines: Sequence[Line]) -> None:
    print(f"\n{title:58}{'goal':>12}{'result':>20}")
    for line in lines:
        print(line, flush=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
