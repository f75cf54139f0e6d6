"""What theory says of a threshold, to be drawn and compared; and claims to be judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin
from orchestrator.domain.target import Target
from orchestrator.inference.threshold import Status
from orchestrator.spec.arithmetic import ExpressionError
from orchestrator.spec.expressions import Condition, Expression
from orchestrator.spec.parts import Arm

ThresholdStatus = Status
"""What a claim may say of thresholds; see `Threshold`."""

TheoryKind = Literal["exact", "asymptotic", "measured"]
THEORY_KINDS: tuple[TheoryKind, ...] = get_args(TheoryKind)


@dataclass(frozen=True)
class TheoryValue:
    """The threshold that theory gives at one (d, k), in the units of n."""

    n_star: float
    kind: TheoryKind
    source: str


@dataclass(frozen=True)
class Row:
    """One line of a table: n_star at (d, k), at every k where the line names none."""

    d: int
    k: int | None
    n_star: float

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say."""
        k = {} if self.k is None else {"k": self.k}
        return {"d": self.d, **k, "n_star": self.n_star}


@dataclass(frozen=True)
class Chosen:
    """The plug-ins an entry speaks of: a kind, settings that must all be equal, or both."""

    kind: str | None
    settings: Mapping[str, Any]

    def fits(self, plugin: Plugin) -> bool:
        """Whether the plug-in is of that kind and has those settings."""
        if self.kind is not None and plugin.kind != self.kind:
            return False
        return all(
            name in plugin.settings and plugin.settings[name] == value
            for name, value in self.settings.items()
        )

    @property
    def as_word(self) -> str | dict[str, Any]:
        """What a file would say."""
        if not self.settings and self.kind is not None:
            return self.kind
        kind = {} if self.kind is None else {"kind": self.kind}
        return {**kind, **self.settings}


@dataclass(frozen=True)
class Theory:
    """One entry, and where it applies: thresholds as an expression or a table, or one of the claims
    that no threshold shows. These are `exponents`, the apparent powers of d and k; `status`, which
    every threshold comes out with; and `mean`, of a measure over trials, at (d, n, k).

    `within` is what counts as agreement: relative for thresholds and means, absolute for exponents.
    """

    kind: TheoryKind
    source: str = ""
    n_star: Expression | None = None
    table: tuple[Row, ...] = ()
    exponents: Mapping[Literal["d", "k"], float] = field(default_factory=dict)
    status: str | None = None
    measure: str | None = None
    mean: Expression | None = None
    within: float | None = None
    where: Condition | None = None
    target: Chosen | None = None
    learner: Chosen | None = None

    def applies_to(self, target: Target, learner: Learner) -> bool:
        """Whether the entry speaks of that pair."""
        fits_target = self.target is None or self.target.fits(target)
        return fits_target and (self.learner is None or self.learner.fits(learner))

    def at(self, arm: Arm, d: int, k: int) -> TheoryValue | None:
        """The value at (d, k); None where the entry says nothing.

        Raises `ExpressionError` where its expression has no value.
        """
        if self.mean is not None or not self.applies_to(arm.target, arm.learner):
            return None
        if self.where is not None and not self.where.holds(d=d, k=k):
            return None
        if self.n_star is not None:
            return TheoryValue(float(self.n_star.at(d=d, k=k)), self.kind, self.source)
        for row in self.table:
            if row.d == d and row.k in (None, k):
                return TheoryValue(row.n_star, self.kind, self.source)
        return None

    def mean_at(self, d: int, n: int, k: int) -> float | None:
        """The mean of `measure` at (d, n, k); None where the entry says nothing or has no value."""
        try:
            if self.mean is None or not (self.where is None or self.where.holds(d=d, n=n, k=k)):
                return None
            return float(self.mean.at(d=d, n=n, k=k))
        except ExpressionError:
            return None

    @property
    def as_words(self) -> dict[str, Any]:
        """What a file would say; words that were not given are left out."""
        words = {
            "kind": self.kind,
            "source": self.source,
            "n_star": self.n_star and self.n_star.as_word,
            "table": [row.as_words for row in self.table],
            "exponents": dict(self.exponents) or None,
            "status": self.status,
            "measure": self.measure,
            "mean": self.mean and self.mean.as_word,
            "within": self.within,
            "where": self.where and self.where.text,
            "target": self.target and self.target.as_word,
            "learner": self.learner and self.learner.as_word,
        }
        return {word: value for word, value in words.items() if value not in (None, [], "")}
