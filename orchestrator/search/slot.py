"""A running trial's place in a joint design, kept with the trial in the study's storage."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from orchestrator.search.space import Context, Range

KEY = "threshold_sampler:slot"
"""System attribute of a trial that holds its slot."""


@dataclass(frozen=True)
class Slot:
    """The `rank`-th place of the design called `design`: n at a context, chosen from `ends`."""

    design: str
    rank: int
    context: Context
    n: int
    ends: Range

    @classmethod
    def of(cls, attrs: Mapping[str, Any]) -> "Slot | None":
        """The slot among a trial's system attributes."""
        if (kept := attrs.get(KEY)) is None:
            return None
        ends = kept["ends"][0], kept["ends"][1]
        return cls(kept["design"], kept["rank"], tuple(kept["context"]), kept["n"], ends)

    def keep(self, study: Study, trial: FrozenTrial) -> None:
        """Write the slot into the study's storage, where every process sees it.

        Optuna's own samplers reach a trial's system attributes by this way only.
        """
        kept: dict[str, Any] = {
            "design": self.design,
            "rank": self.rank,
            "context": list(self.context),
            "n": self.n,
            "ends": list(self.ends),
        }
        study._storage.set_trial_system_attr(trial._trial_id, KEY, kept)

    def serves(self, context: Context, ends: Range) -> bool:
        """Whether n may be tried at `context` from `ends`, which the design allowed for."""
        low, high = ends
        foreseen = self.ends[0] <= low and high <= self.ends[1]
        return self.context == context and foreseen and low <= self.n <= high
