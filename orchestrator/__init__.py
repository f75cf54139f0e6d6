"""Phasefront: how much data does a learner need, and how does that grow with d and k?

In a notebook: `sweep = orchestrator.run("experiments/cover.yaml")`, or `open_sweep` with the id of
one that was answered before; see `orchestrator.api.notebook`. Both are re-exported lazily, so that
`orchestrator.domain` can be imported on a machine that has neither ray nor mlflow.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api.notebook import OpenedSweep, open_sweep, run

__all__ = ["OpenedSweep", "open_sweep", "run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from orchestrator.api import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
