"""QUEST+ (Watson 2017, J. Vision 17(3):10), one independent instance per threshold, in turn.

It is told that the curve is a probit in log n with lapses of 1% or 5%: half of what our method
has to find out. See `methods/environments.py` for the protocol.
"""

import json
import sys
from typing import Any

import numpy as np
from questplus import QuestPlus  # type: ignore[import-not-found]

SLOPES = np.geomspace(0.7, 20.0, 8)
LAPSES = (0.01, 0.05)
ALONE, MANY = (120, 300), (50, 100)
"""Values of log n to try, and of log n_star: fine for one threshold, coarser for many, where each
has few outcomes and errors are far wider than the grid's 0.1 nats."""


class Peer:
    """All instances of one problem."""

    def __init__(self, cells: list[list[float]]) -> None:
        stimuli, means = ALONE if len(cells) == 1 else MANY
        self.instances = [self._instance(low, high, stimuli, means) for _, _, low, high in cells]
        self.turn = 0

    def _instance(self, low: float, high: float, stimuli: int, means: int) -> Any:
        return QuestPlus(
            stim_domain={"intensity": np.linspace(low, high, stimuli)},
            param_domain={
                "mean": np.linspace(low, high, means),
                "sd": 1 / SLOPES,
                "lower_asymptote": LAPSES,
                "lapse_rate": LAPSES,
            },
            outcome_domain={"response": [1, 0]},
            func="norm_cdf",
            stim_scale="linear",
        )

    def ask(self) -> dict[str, Any]:
        i, self.turn = self.turn, (self.turn + 1) % len(self.instances)
        return {"i": i, "log_n": self.instances[i].next_stim["intensity"]}

    def tell(self, i: int, log_n: float, success: bool) -> None:
        outcome = {"response": int(success)}
        self.instances[i].update(stim={"intensity": log_n}, outcome=outcome)

    def estimate(self) -> dict[str, Any]:
        """Posterior medians with central 95% intervals."""
        shares = np.array([self._quantiles(instance) for instance in self.instances])
        return dict(zip(("low", "x", "high"), shares.T.tolist(), strict=True))

    def _quantiles(self, instance: Any) -> Any:
        mass = np.asarray(instance.marginal_posterior["mean"], dtype=np.float64)
        below = (np.cumsum(mass) - mass / 2) / mass.sum()
        return np.interp([0.025, 0.5, 0.975], below, instance.param_domain["mean"])


def main() -> None:
    peer = Peer([[1, 1, 0.0, 1.0]])
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        match request["do"]:
            case "start":
                peer = Peer(request["cells"])
            case "ask":
                answer = peer.ask()
            case "tell":
                peer.tell(request["i"], request["log_n"], request["success"])
            case "estimate":
                answer = peer.estimate()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
