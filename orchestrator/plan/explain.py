"""Why a trial is where it is, in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.trial import Trial


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial. Times are seconds since the epoch; `reason` is None while it runs
    and `committed` when it succeeded.
    """

    key: str
    attempt: int
    sweep: str
    started: float
    ended: float | None
    reason: str | None
    charge: int
    where: str


def explain_sweep(states: Sequence[str], newest_round: int) -> list[str]:
    """Where the trials of a sweep stand; `states` as `ports.Member.state` has them."""
    counts = Counter(states)
    words = {
        "done": "trained by this sweep",
        "cached": "known before this sweep asked, from an equal key",
        "running": "begun and not answered",
        "waiting": "asked for and not begun",
        "gap": "given up; shown beside every result",
    }
    lines = [f"{len(states)} trials asked for in {newest_round + 1} rounds"]
    lines.extend(
        f"  {counts[state]:>6} {state}: {text}" for state, text in words.items() if counts[state]
    )
    return lines


def explain_trial(
    trial: Trial, state: str, outcome: str, reasons: Sequence[str], history: Sequence[Attempt]
) -> list[str]:
    """One trial: what it is, where it stands and why, and every attempt at it."""
    cell, point = trial.cell, trial.cell.point
    lines = [
        f"trial {trial.key}",
        f"  {cell.target.label} · {cell.learner.label} · d={point.d} n={point.n} k={point.k}, "
        f"repeat {trial.repeat}, seed {trial.seed}",
        f"  {_why(state, outcome, reasons)}",
    ]
    lines.extend(f"  attempt {one.attempt}: {_attempt(one)}" for one in history)
    return lines


def _why(state: str, outcome: str, reasons: Sequence[str]) -> str:
    match state:
        case "done":
            return f"done: trained by this sweep, {outcome}"
        case "cached":
            return f"cached: a trial of the same key was settled before this sweep asked, {outcome}"
        case "running":
            return "running: begun and not answered yet"
        case "gap":
            return f"lost: given up after {len(reasons)} charges: {'; '.join(reasons)}"
        case _:
            return "waiting: asked for, not begun"


def _attempt(one: Attempt) -> str:
    if one.ended is None:
        return f"running{_at(one.where)}"
    seconds = one.ended - one.started
    charge = ", charged" if one.charge else ""
    return f"{one.reason or 'ended'}{_at(one.where)} after {seconds:.1f} s{charge}"


def _at(where: str) -> str:
    return f" on {where}" if where else ""
