"""An answer as files: what MLflow keeps of it, and what people ask for by name."""

import json
import time

from orchestrator.answer import Answer
from orchestrator.errors import RequestError


def metrics_of(found: Answer) -> dict[str, float]:
    """Figures of a finished sweep for its parent run: counts, and every threshold that is known."""
    metrics = {"trials": float(found.finished_trials), "gaps": float(found.gaps)}
    for index, arm in enumerate(found.arms):
        for one in arm.thresholds:
            if one.threshold.n_star is not None:
                metrics[f"n_star.arm{index}.d{one.asked.d}.k{one.asked.k}"] = one.threshold.n_star
    return metrics


def artifacts_of(found: Answer) -> dict[str, bytes]:
    """The page, the pictures and the table of trials, by relative path."""
    from orchestrator.report import figures

    artifacts = {"report.html": _page(found).encode(), **figures(found)}
    artifacts["trials.parquet"] = table_bytes(found, ".parquet")
    return artifacts


def report_bytes(found: Answer, suffix: str) -> bytes:
    """The page (.html) or its headline picture (.png). Raises `RequestError` for other suffixes."""
    from orchestrator.report import headline

    if suffix not in (".html", ".png"):
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .html or .png")
    return headline(found) if suffix == ".png" else _page(found).encode()


def _page(found: Answer) -> str:
    from orchestrator.report import page
    from orchestrator.tracking.rows import versions

    return page(found, made=time.time(), versions=json.loads(versions()))


def table_bytes(found: Answer, suffix: str) -> bytes:
    """Every trial as a row, as parquet or csv by `suffix`. Raises `RequestError` for others."""
    from orchestrator.tracking import table_of

    return table_of(found.rows, suffix, [(arm.target, arm.learner) for arm in found.arms])
