"""What MLflow is told of a sweep while it runs: figures every few seconds, thresholds and the page
now and then.

All of it is done by the driver between two turns of its loop, so what takes long is done seldom.
"""

import logging
import math
import time
from collections.abc import Callable

from orchestrator.answer import Answer, thresholds_now
from orchestrator.api.files import note_of, page_of, threshold_figures
from orchestrator.errors import PhasefrontError
from orchestrator.ports import Tracker
from orchestrator.spec import ExperimentSpec
from orchestrator.sweep import Progress

COUNTS_S = 5.0
"""Seconds between counts of trials in MLflow; each is a commit of the ledger."""

THRESHOLDS_S = 20.0
"""Seconds, at least, between fits of the thresholds for MLflow."""

PAGE_S = 60.0
"""Seconds, at least, between pages of a running sweep."""

SHARE = 0.02
"""Of the driver's time, what fits may take, and what pages may: a large sweep's come less often."""


log = logging.getLogger(__name__)


class Seldom:
    """Says when something is due again: `every_s` after it was last done, or later where it takes
    more than `SHARE` of the time; never again once it has failed.
    """

    def __init__(self, every_s: float, clock: Callable[[], float], at_once: bool = False) -> None:
        self._every_s, self._clock = every_s, clock
        self._due = clock() + (0.0 if at_once else every_s)

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return self._clock() >= self._due

    def do(self, work: Callable[[], None]) -> None:
        """Do it, and see how long it takes. The ledger's and other errors of ours pass through."""
        began = self._clock()
        try:
            work()
        except PhasefrontError:
            raise
        except Exception as error:  # a picture that cannot be drawn is no reason to stop training
            log.warning("MLflow goes without something while the sweep runs: %r", error)
            self._due = math.inf
            return
        now = self._clock()
        self._due = now + max(self._every_s, (now - began) / SHARE)


class Publisher:
    """Publishes a running sweep through its tracker. `answer` gives what was found so far."""

    def __init__(
        self,
        spec: ExperimentSpec,
        tracker: Tracker,
        answer: Callable[[], Answer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spec, self._tracker, self._answer, self._clock = spec, tracker, answer, clock
        self._counts = Seldom(COUNTS_S, clock, at_once=True)
        self._thresholds = Seldom(THRESHOLDS_S, clock)
        self._page = Seldom(PAGE_S, clock)
        self._counted_at, self._counted = clock(), -1  # -1: not yet; a resumed sweep has some

    def publish(self, progress: Progress) -> bool:
        """Publish what is due, and the last counts, with nothing running, in any case; whether
        anything was.
        """
        due = self._counts.is_due or not progress.running
        if due:
            self._counts.do(lambda: self._tracker.publish(self._figures(progress), {}))
        if progress.running and self._thresholds.is_due and progress.tallies:
            self._thresholds.do(lambda: self._tracker.publish(self._found(progress), {}))
        if progress.running and self._page.is_due:
            self._page.do(self._publish_page)
        return due

    def _figures(self, progress: Progress) -> dict[str, float]:
        figures = {
            "trials": float(progress.answered),
            "gaps": float(progress.gaps),
            "rounds": float(progress.round),
        }
        now, new = self._clock(), progress.answered - self._counted
        elapsed_s = now - self._counted_at
        if self._counted < 0 or ((new or progress.running) and elapsed_s >= 1.0):
            if self._counted >= 0:
                figures["trials_per_second"] = new / elapsed_s
            self._counted_at, self._counted = now, progress.answered
        return figures

    def _found(self, progress: Progress) -> dict[str, float]:
        found = thresholds_now(self._spec, progress.tallies)
        seen = iter([threshold for threshold, _ in found])
        arms = [[next(seen) for _ in self._spec.asked(arm)] for arm in self._spec.arms]
        return threshold_figures(arms)

    def _publish_page(self) -> None:
        found = self._answer()
        self._tracker.publish({}, page_of(found), note_of(found))
