"""Deciding what to try next: proposers for the loop, and a sampler for anyone with Optuna.

The only room that imports optuna. `ThresholdSampler` is the one place where thresholds are sought;
the `threshold` proposer shows it the counts as an Optuna study, rebuilt for every round, so what a
sweep does and what an Optuna user gets are the same thing. Optuna's own storage holds nothing that
could be lost: a study is derived from the ledger and forgotten.

`proposer_for` is re-exported lazily: it knows experiments, and with them torch, which whoever came
for the sampler need not wait for.
"""

from typing import TYPE_CHECKING, Any

from orchestrator.search.answers import ContextThreshold, Plan
from orchestrator.search.threshold_sampler import ThresholdSampler

if TYPE_CHECKING:
    from orchestrator.search.proposers import proposer_for

__all__ = ["ContextThreshold", "Plan", "ThresholdSampler", "proposer_for"]


def __getattr__(name: str) -> Any:
    if name == "proposer_for":
        from orchestrator.search.proposers import proposer_for

        return proposer_for
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
