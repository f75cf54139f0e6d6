"""How many trials a search may still have trained.

Trials that the store had when the sweep was first opened cost nothing and are no part of
`max_trials`; all others are: answered, given up and running.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.domain.plugin import canonical_json
from orchestrator.domain.point import Point
from orchestrator.plan.reuse import Stock
from orchestrator.ports import ArmTally, Ask
from orchestrator.spec import Search


@dataclass(frozen=True)
class Budget:
    """What was asked for so far, against `max_trials` and what the store had.

    Repeats of a point are numbered in the order in which they are asked for, so how many were asked
    says which come next.
    """

    search: Search
    stock: Stock
    asked: Counter[tuple[int, Point, str]]
    cost: int

    @classmethod
    def after(
        cls, search: Search, stock: Stock, tallies: Sequence[ArmTally], pending: Sequence[Ask]
    ) -> "Budget":
        """The budget once those tallies are known and those asks are running."""
        asked: Counter[tuple[int, Point, str]] = Counter()
        tuned: dict[str, Mapping[str, Any]] = {}
        counted: list[tuple[ArmTally | Ask, int]] = [
            *((tally, tally.trials + tally.gaps) for tally in tallies),
            *((ask, ask.repeats) for ask in pending),
        ]
        for one, count in counted:
            name = canonical_json(dict(one.tuned))
            tuned[name] = one.tuned
            asked[one.arm, one.point, name] += count
        cost = sum(
            stock.cost(arm, point, 0, count, tuned[name])
            for (arm, point, name), count in asked.items()
        )
        return cls(search, stock, asked, cost)

    @property
    def left(self) -> int:
        """Trials that may still be trained; a round's where there is no limit."""
        most = self.search.max_trials
        return self.search.round if most is None else max(0, most - self.cost)

    @property
    def round(self) -> int:
        """Trials that may be asked for now; once all are trained, only such as cost nothing."""
        if self.left < 1 and not self.stock:
            return 0
        return min(self.search.round, self.left or self.search.round)

    def at_hand(self, arm: int, point: Point, tuned: Mapping[str, Any]) -> int:
        """How many of a point's next repeats cost nothing."""
        return self.stock.at_hand(arm, point, self._first(arm, point, tuned), tuned)

    def within(self, asks: Sequence[Ask]) -> list[Ask]:
        """The asks, cut where they would train more than is left."""
        kept, left, asked = [], self.left, self.asked.copy()
        for ask in asks:
            name = ask.arm, ask.point, canonical_json(dict(ask.tuned))
            first = asked[name]
            cost = [
                self.stock.cost(ask.arm, ask.point, first, count, ask.tuned)
                for count in range(ask.repeats + 1)
            ]
            repeats = max(count for count, price in enumerate(cost) if price <= left)
            left -= cost[repeats]
            asked[name] += repeats
            if repeats:
                kept.append(replace(ask, repeats=repeats))
        return kept

    def _first(self, arm: int, point: Point, tuned: Mapping[str, Any]) -> int:
        return self.asked[arm, point, canonical_json(dict(tuned))]
