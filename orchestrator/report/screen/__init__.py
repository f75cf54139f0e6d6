"""Pictures for the screen: plotly figures as plain dictionaries, with words to hover over.

Colours come in pairs (for a light and for a dark page) in each trace's `meta`; the page's script
paints them on and repaints when the reader's preference changes. Plotly reads a little HTML in its
texts, so every name from outside is escaped before it gets there.
"""

from orchestrator.report.screen import (
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
