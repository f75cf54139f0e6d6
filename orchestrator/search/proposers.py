"""Which proposer answers which `search.kind`."""

from collections.abc import Sequence

from orchestrator.plan.reuse import Reusable
from orchestrator.ports import Proposer
from orchestrator.search.grid import GridProposer
from orchestrator.search.optuna_search import OptunaProposer
from orchestrator.search.sobol import SobolProposer
from orchestrator.search.threshold import ThresholdProposer
from orchestrator.search.tuned import TunedProposer
from orchestrator.spec import ExperimentSpec


def proposer_for(spec: ExperimentSpec, reusable: Sequence[Reusable] = ()) -> Proposer:
    """The proposer that the experiment asks for, told of the trials that cost nothing.

    Designs that look at no results need not know: they ask for what they ask for, and what is
    stored of it is reused.
    """
    match spec.search.kind:
        case "grid":
            return GridProposer(spec)
        case "sobol":
            return SobolProposer(spec)
        case "threshold":
            return TunedProposer(spec) if spec.tune else ThresholdProposer(spec, reusable)
        case "optuna":
            return OptunaProposer(spec)


def check_ready(spec: ExperimentSpec) -> None:
    """Raise `RequestError` where the search cannot be carried out here.

    That is an Optuna sampler without a package it needs, or one that refuses its settings.
    """
    if spec.search.kind == "optuna":
        OptunaProposer(spec)
