"""Deciding what to try next: proposers for the loop, and a sampler for anyone with Optuna.

The only room that imports optuna. `ThresholdSampler` is the one place where thresholds are sought;
the `threshold` proposer shows it the counts as an Optuna study, rebuilt for every round, so what a
sweep does and what an Optuna user gets are the same thing. Optuna's own storage holds nothing that
could be lost: a study is derived from the ledger and forgotten.
"""

from orchestrator.search.answers import ContextThreshold, Plan
from orchestrator.search.proposers import proposer_for
from orchestrator.search.threshold_sampler import ThresholdSampler

__all__ = ["ContextThreshold", "Plan", "ThresholdSampler", "proposer_for"]
