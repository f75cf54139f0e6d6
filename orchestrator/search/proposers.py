"""Which proposer answers which `search.kind`."""

from orchestrator.ports import Proposer
from orchestrator.search.grid import GridProposer
from orchestrator.search.sobol import SobolProposer
from orchestrator.search.threshold import ThresholdProposer
from orchestrator.spec import ExperimentSpec


def proposer_for(spec: ExperimentSpec) -> Proposer:
    """The proposer that the experiment asks for."""
    match spec.search.kind:
        case "grid":
            return GridProposer(spec)
        case "sobol":
            return SobolProposer(spec)
        case "threshold":
            return ThresholdProposer(spec)
        case kind:
            raise NotImplementedError(kind)
