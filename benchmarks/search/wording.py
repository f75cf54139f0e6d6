"""How the table puts things."""

import math

import numpy as np

from benchmarks.search.scores import Array


def verdict(ok: bool) -> str:
    return "ok" if ok else "MISSED"


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else f"{value:.3g}"


def title(text: str) -> list[str]:
    return ["", text, "-" * len(text)]


def quantiles(errors: Array) -> tuple[float, float, float]:
    return float(np.median(errors)), float(np.quantile(errors, 0.9)), float(errors.max())
