"""Live progress of a running sweep: a bar for people at a terminal, lines elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator.answer import thresholds_now
from orchestrator.inference.threshold import Threshold
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Progress as SweepProgress

LINE_S = 10.0
"""Seconds between lines where there is no terminal."""

FIT_S = 2.0
"""Seconds between fits of the thresholds for display."""


class Live:
    """Shows cells settled, trials done, the widest interval and the time left."""

    def __init__(self, spec: ExperimentSpec, console: Console) -> None:
        self._spec = spec
        self._console = console
        self._asked = sum(len(spec.asked(arm)) for arm in spec.arms)
        self._fitted_at = self._printed_at = float("-inf")
        self._words = ""
        self._settled = 0
        self._bar = Progress(
            TextColumn("thresholds"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=self._asked, words="starting")

    def __enter__(self) -> "Live":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def watch(self, standing: SweepProgress) -> None:
        """Show where things stand; called by the loop."""
        now = time.monotonic()
        if now - self._fitted_at > FIT_S and standing.tallies:
            found = thresholds_now(self._spec, standing.tallies)
            self._settled = sum(is_settled for _, is_settled in found)
            self._words = _width([one for one, _ in found])
            self._fitted_at = time.monotonic()
        words = f"{_counts(standing)}{self._words}, about {standing.left_s:.0f} s in flight"
        self._bar.update(self._task, completed=self._settled, words=words)
        if not self._console.is_terminal and now - self._printed_at > LINE_S:
            self._console.print(f"thresholds {self._settled}/{self._asked}: {words}")
            self._printed_at = now


def _counts(standing: SweepProgress) -> str:
    gaps = f", {standing.gaps} gaps" if standing.gaps else ""
    cached = f" ({standing.cached} known before)" if standing.cached else ""
    return f"{standing.answered} of {standing.asked} trials{cached}{gaps}"


def _width(found: list[Threshold]) -> str:
    widths = [width for one in found if (width := one.half_width) is not None]
    return f", widest interval ±{100 * max(widths):.0f}%" if widths else ""
