"""Networks trained in our way and in those of peers: medians of interleaved rounds."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.engine.goals import Line
from benchmarks.engine.isolated import measured

WAYS = ("ours", "ray_tasks", "ray_tune", "joblib_loop")

TRIALS = {
    "small": {"ours": 6400, "ray_tasks": 160, "ray_tune": 48, "joblib_loop": 160},
    "medium": {"ours": 1920, "ray_tasks": 96, "ray_tune": 32, "joblib_loop": 96},
    "large": {"ours": 192, "ray_tasks": 48, "ray_tune": 24, "joblib_loop": 48},
}
"""Some ten seconds of running a way on two quiet cores of 2025, by hand: rates are compared."""

GOALS = {
    "small": {"ray_tasks": 20.0, "ray_tune": 100.0},
    "medium": {"ray_tasks": 8.0, "ray_tune": 40.0},
    "large": {"ray_tasks": 1.25, "ray_tune": 4.0},
}

TRAINING = 0.90
"""Goal for the share of all CPU that trains, at medium."""


def lines(sizes: Sequence[str], ways: Sequence[str], rounds: int, scale: float) -> list[Line]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for _ in range(rounds):
        for size in sizes:
            for way in ways:
                count = max(16, round(scale * TRIALS[size][way]))
                found[size, way].append(measured(way, size=size, trials=count))
    shown = []
    for size in sizes:
        for way in ways:
            shown.extend(_of_way(size, way, found[size, way]))
        if "ours" in ways:
            for way in (way for way in ways if way != "ours"):
                shown.extend(_beside(size, way, found[size, "ours"], found[size, way]))
    return shown


def _of_way(size: str, way: str, runs: Sequence[dict[str, Any]]) -> list[Line]:
    goal = TRAINING if (size, way) == ("medium", "ours") else None
    cost = median(run["cpu_ms"] for run in runs)
    return [
        Line(f"{size}: {way}", median(run["rate"] for run in runs), "trials/s",
             note=f"{cost:.3g} ms of CPU a trial"),
        Line(f"{size}: {way}, CPU that trains", median(run["training"] for run in runs),
             at_least=goal),
    ]  # fmt: skip


def _beside(
    size: str, way: str, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]
) -> list[Line]:
    ratio = median(our["rate"] / its["rate"] for our, its in zip(ours, theirs, strict=True))
    cpu = median(its["cpu_ms"] / our["cpu_ms"] for our, its in zip(ours, theirs, strict=True))
    goal = GOALS[size].get(way)
    return [
        Line(f"{size}: ours / {way}", ratio, "x", at_least=goal, note=f"by CPU {cpu:.3g}x"),
    ]
