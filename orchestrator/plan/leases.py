"""Leases: when a worker is given up for lost. Pure; the time is passed in.

Every time here is read from one clock, the monotonic clock of the driver that waits: a wall clock
jumps, and the clocks of two machines differ. A worker holds its lease as long as it answers; the
lease runs from the first question that it left unanswered.
"""

from dataclasses import dataclass

from orchestrator.plan.facts import Reason

FROZEN_S = 5.0
"""A driver that has not looked for so long was frozen, or the machine asleep. By hand."""

CATCH_UP_S = 5.0
"""How long it then takes in what it missed before it gives anyone up. By hand."""


@dataclass
class Lease:
    """One worker's lease of `seconds`, with a pack at the head of its queue or idle."""

    seconds: float
    unheard_since: float | None = None
    is_cut_off: bool = False
    _looked_at: float | None = None
    _patient_until: float = float("-inf")

    def looked(self, now: float) -> None:
        """The driver takes in messages; what it missed while it was frozen may just have come."""
        if self._looked_at is not None and now - self._looked_at > FROZEN_S:
            self._patient_until = now + CATCH_UP_S
        self._looked_at = now

    def asked(self, now: float) -> None:
        """A sign of life was asked for."""
        if self.unheard_since is None:
            self.unheard_since = now

    def heard(self) -> None:
        """It came."""
        self.unheard_since, self.is_cut_off = None, False

    def cut_off(self) -> None:
        """Messages to the worker are lost; it may be alive."""
        self.is_cut_off = True

    def ends(self, now: float) -> float:
        """When it lapses unless a sign of life comes before."""
        return self.seconds + (now if self.unheard_since is None else self.unheard_since)

    def verdict(
        self, now: float, began: float | None = None, limit_s: float = 0.0
    ) -> tuple[Reason, str] | None:
        """Why the worker has to be ended, in a reason and words; None while it may go on.

        `began` is when the pack came to the head of the queue, `limit_s` the time it is allowed.
        """
        if now < self._patient_until:
            return None
        if self.unheard_since is not None and now - self.unheard_since > self.seconds:
            reason = Reason.NODE_LOST if self.is_cut_off else Reason.TIMED_OUT
            return reason, f"no pulse for {self.seconds:g} s"
        if began is not None and now - began > limit_s:
            return Reason.TIMED_OUT, f"past its deadline of {limit_s:g} s"
        return None
