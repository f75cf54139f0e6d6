"""An answer as files: what MLflow keeps of it, and what people ask for by name."""

import json
import time
from collections.abc import Sequence

from orchestrator.answer import Answer
from orchestrator.errors import RequestError
from orchestrator.inference.threshold import Threshold


def metrics_of(found: Answer) -> dict[str, float]:
    """Figures of a finished sweep for its parent run: counts, and every threshold that is known."""
    metrics = {"trials": float(found.finished_trials), "gaps": float(found.gaps)}
    arms = [[one.threshold for one in arm.thresholds] for arm in found.arms]
    return metrics | threshold_figures(arms)


def threshold_figures(arms: Sequence[Sequence[Threshold]]) -> dict[str, float]:
    """`n_star.arm0.d10.k1` with `n_star_low`, `n_star_high` and `width`, half the interval over
    n_star, of each threshold of each arm that is found; `thresholds_found` is their number.
    """
    figures = {"thresholds_found": 0.0}
    for arm, thresholds in enumerate(arms):
        for one in thresholds:
            if one.status != "found":
                continue
            figures["thresholds_found"] += 1.0
            known = {
                "n_star": one.n_star,
                "n_star_low": one.low,
                "n_star_high": one.high,
                "width": one.half_width,
            }
            place = f"arm{arm}.d{one.d}.k{one.k}"
            figures |= {f"{name}.{place}": v for name, v in known.items() if v is not None}
    return figures


def note_of(found: Answer) -> str:
    """What stands above the sweep's runs in MLflow, in Markdown."""
    from orchestrator.report import description

    return description(found)


def page_of(found: Answer) -> dict[str, bytes]:
    """The page alone, by its path: what is made again and again while a sweep runs."""
    return {"report.html": _page(found).encode()}


def artifacts_of(found: Answer) -> dict[str, bytes]:
    """The page, the pictures and the table of trials, by relative path."""
    artifacts: dict[str, bytes] = {}
    artifacts["report.html"] = _page(found, artifacts).encode()
    artifacts["trials.parquet"] = table_bytes(found, ".parquet")
    return artifacts


def report_bytes(found: Answer, suffix: str) -> bytes:
    """The page (.html) or its headline picture (.png). Raises `RequestError` for other suffixes."""
    from orchestrator.report import headline

    if suffix not in (".html", ".png"):
        raise RequestError(f"cannot write {suffix!r}: the suffix says the format, .html or .png")
    return headline(found) if suffix == ".png" else _page(found).encode()


def _page(found: Answer, files: dict[str, bytes] | None = None) -> str:
    from orchestrator.report import page
    from orchestrator.tracking.rows import versions

    return page(found, made=time.time(), versions=json.loads(versions()), files=files)


def table_bytes(found: Answer, suffix: str) -> bytes:
    """Every trial as a row, as parquet or csv by `suffix`. Raises `RequestError` for others."""
    from orchestrator.tracking import table_of

    return table_of(found.rows, suffix, [(arm.target, arm.learner) for arm in found.arms])
