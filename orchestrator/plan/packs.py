"""Which waiting trials to train together."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.domain.trial import Trial
from orchestrator.plan.cost import CostModel


@dataclass(frozen=True)
class PackLimits:
    """How large a pack may be. All chosen by hand, near what was measured to pay.

    Throughput of batched training on a CPU core is flat from 16 trials a pack to 64 (a two-layer
    net of width 128: 89 and 86 trials per CPU second). Longer packs only make the slots uneven.
    """

    trials: int = 64
    seconds: float = 2.0
    bytes: float = 1e9
    least: int = 4
    """The even share stops here: a lone trial is trained with a twin and costs as much as two."""
    first_trials: int = 8
    """Size of a learner's first pack, the probe that measures it."""


def next_pack(
    waiting: Sequence[Trial], slots: int, cost: CostModel, limits: PackLimits
) -> tuple[Trial, ...]:
    """The leading trials of `waiting` that make one pack, at least one of them.

    `waiting` holds trials of one arm in the order in which they should start. They are shared
    evenly over the slots, so that a small round keeps every slot busy and the last packs are small.
    """
    share = -(-len(waiting) // max(1, slots))
    count = min(max(limits.least, share), limits.trials)
    if not cost.is_measured(waiting[0]):
        count = min(count, limits.first_trials)
    chosen: list[Trial] = []
    seconds = memory = 0.0
    for trial in waiting[:count]:
        seconds += cost.seconds(trial)
        memory += trial.cell.learner.memory_bytes(trial.cell.point)
        if chosen and (seconds > limits.seconds or memory > limits.bytes):
            break
        chosen.append(trial)
    return tuple(chosen)
