"""Phasefront: how much data does a learner need, and how does that grow with d and k?

`run` and `open_sweep` are re-exported lazily, so that `orchestrator.domain` can be imported on a
machine that has neither ray nor mlflow.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api import open_sweep, run

__all__ = ["open_sweep", "run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from orchestrator import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
