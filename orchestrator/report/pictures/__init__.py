"""Pictures for print: one module per picture, each `draw(answer) -> Figure | None`."""

from orchestrator.report.pictures import (
    collapse,
    law,
    learning_curves,
    means,
    narrowing,
    phase_diagram,
    ratios,
    settings,
    success_curves,
    trials_spent,
)

__all__ = [
    "collapse",
    "law",
    "learning_curves",
    "means",
    "narrowing",
    "phase_diagram",
    "ratios",
    "settings",
    "success_curves",
    "trials_spent",
]
