"""Which proposer answers which `search.kind`."""

from collections.abc import Callable

from orchestrator.ports import Proposer
from orchestrator.search.grid import GridProposer
from orchestrator.search.optuna_search import OptunaProposer
from orchestrator.search.sobol import SobolProposer
from orchestrator.search.threshold import ThresholdProposer
from orchestrator.spec import ExperimentSpec


def proposer_for(spec: ExperimentSpec) -> Proposer:
    """The proposer that the experiment asks for."""
    proposers: dict[str, Callable[[ExperimentSpec], Proposer]] = {
        "grid": GridProposer,
        "sobol": SobolProposer,
        "threshold": ThresholdProposer,
        "optuna": OptunaProposer,
    }
    return proposers[spec.search.kind](spec)
