"""AEPsych (Owen et al. 2021, arXiv:2104.09549): a GP classifies outcomes over log d, log k, log n.

Ten Sobol points, then points that maximise the acquisition function named by the variant, EAVC or
GlobalMI (Letham et al. 2022, AISTATS), about the level set of 1/2. A suggested (d, k) is moved to
the nearest asked one, and the model is told where the trial really was. A threshold is read off as
the first log n of a fine grid at which the latent mean crosses zero, interpolated.
See `methods/environments.py` for the protocol.
"""

import json
import logging
import sys
from typing import Any

import numpy as np
import torch
from aepsych.config import Config  # type: ignore[import-not-found]
from aepsych.strategy import SequentialStrategy  # type: ignore[import-not-found]

SOBOL = 10
"""Points before the model is first fitted."""

GRID = 801
"""Values of log n at which the model is read."""

STRATEGY = """
[common]
parnames = [{names}]
stimuli_per_trial = 1
outcome_types = [binary]
strategy_names = [init, model]

{parameters}

[init]
generator = SobolGenerator
min_asks = {sobol}

[SobolGenerator]
seed = {seed}

[model]
generator = OptimizeAcqfGenerator
model = GPClassificationModel
min_asks = 100000

[OptimizeAcqfGenerator]
acqf = {variant}

[{variant}]
target = 0.5
lookahead_type = levelset
"""


class Peer:
    """One model over all thresholds of a problem."""

    def __init__(self, cells: list[list[float]], seed: int, variant: str) -> None:
        torch.manual_seed(seed)
        self.cells = np.array(cells)
        low, high = self.cells[:, 2].min(), self.cells[:, 3].max()
        axes = {"log_d": np.log(self.cells[:, 0]), "log_k": np.log(self.cells[:, 1])}
        self.axes = {name: x for name, x in axes.items() if np.ptp(x) > 0}
        ends = {name: (x.min(), x.max()) for name, x in self.axes.items()} | {"log_n": (low, high)}
        parameters = "\n".join(
            f"[{name}]\npar_type = continuous\nlower_bound = {a}\nupper_bound = {b}\n"
            for name, (a, b) in ends.items()
        )
        text = STRATEGY.format(
            names=", ".join(ends), parameters=parameters, sobol=SOBOL, seed=seed, variant=variant
        )
        self.strategy = SequentialStrategy.from_config(Config(config_str=text))

    def ask(self) -> dict[str, Any]:
        point = self.strategy.gen(1).detach().numpy().ravel()
        apart = sum(
            ((x - at) / np.ptp(x)) ** 2
            for (x, at) in zip(self.axes.values(), point[:-1], strict=True)
        )
        i = int(np.argmin(apart)) if self.axes else 0
        return {"i": i, "log_n": float(np.clip(point[-1], *self.cells[i, 2:]))}

    def tell(self, i: int, log_n: float, success: bool) -> None:
        self.strategy.add_data(self._points(i, np.array([log_n])), torch.tensor([float(success)]))

    def estimate(self) -> dict[str, Any]:
        """Crossings; the end of the range where the model sees none, nan before the first fit."""
        if self.strategy.model is None or not self.strategy.has_model:
            return {"x": [None] * len(self.cells)}
        return {"x": [self._crossing(i) for i in range(len(self.cells))]}

    def _crossing(self, i: int) -> float:
        low, high = self.cells[i, 2:]
        log_n = np.linspace(low, high, GRID)
        with torch.no_grad():
            mean = self.strategy.model.predict(self._points(i, log_n))[0].numpy()
        if (mean < 0).all():
            return float(log_n[-1])
        first = int(np.argmax(mean >= 0))
        if first == 0:
            return float(log_n[0])
        return float(np.interp(0.0, mean[first - 1 : first + 1], log_n[first - 1 : first + 1]))

    def _points(self, i: int, log_n: Any) -> torch.Tensor:
        fixed = [np.full(len(log_n), x[i]) for x in self.axes.values()]
        return torch.tensor(np.column_stack([*fixed, log_n]), dtype=torch.float64)


def main() -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    peer: Peer | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if request["do"] == "start":
            peer = Peer(request["cells"], request["seed"], request["variant"])
        assert peer is not None, "start first"
        match request["do"]:
            case "ask":
                answer = peer.ask()
            case "tell":
                peer.tell(request["i"], request["log_n"], request["success"])
            case "estimate":
                answer = peer.estimate()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
