"""Random choices of a sampler: of its seed, the trial and the purpose, and of nothing else."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from orchestrator.inference.ladder import rungs
from orchestrator.search.space import Range


@dataclass(frozen=True)
class Chance:
    """No generator is kept, so it plays no part in which process a trial asks, or how often."""

    seed: int

    def number(self, trial: int, purpose: str) -> int:
        """A number below 2^32."""
        text = f"{self.seed}/{trial}/{purpose}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")

    def rung(self, trial: int, ends: Range) -> int:
        """The rung nearest to an n drawn uniformly in log n."""
        ladder = rungs(*ends)
        unit = np.random.default_rng(self.number(trial, "rung")).random()
        log_n = math.log(ends[0]) + unit * math.log(ends[1] / ends[0])
        return int(ladder[np.abs(np.log(ladder) - log_n).argmin()])
