"""How often the interval of Cover's threshold holds 2d, over seeds."""

import math

from benchmarks.known_thresholds.systems import SYSTEMS
from benchmarks.known_thresholds.training import answered

SHARE = 0.8
"""Of the seeds at least, at every d: 16 of 20. A method that covers 95% fails with chance 0.3%."""


def coverage(seeds: int) -> bool:
    """Count at every d, print, and say whether the goal is met."""
    inside: dict[int, int] = {}
    within: dict[int, int] = {}
    for seed in range(seeds):
        (spec,) = SYSTEMS["cover"].specs(seed)
        found = answered(spec)
        for one in (t.threshold for t in found.arms[0].thresholds):
            if one.n_star is None or one.low is None or one.high is None:
                continue
            truth = 2 * one.d
            inside[one.d] = inside.get(one.d, 0) + (one.low <= truth <= one.high)
            within[one.d] = within.get(one.d, 0) + (abs(one.n_star / truth - 1) <= 0.03)
        print(f"seed {seed}: inside so far {inside}, {found.finished_trials} trials")
    goal = math.ceil(SHARE * seeds)
    for d in sorted(inside):
        print(
            f"d = {d}: {inside[d]} of {seeds} intervals contain 2d (goal {goal}); "
            f"{within[d]} of {seeds} n_star within 3%"
        )
    return all(count >= goal for count in inside.values())
