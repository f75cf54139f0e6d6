"""Sign vectors as bits in 64-bit words, so that products of coordinates are exclusive ors."""

import numpy as np
import torch
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def packed_signs(x: torch.Tensor, y: torch.Tensor) -> tuple[Words, Words]:
    """X (n, d) and y (n,) as words (d, W) and (W,), W = n / 64 rounded up: bit i is 1 where row i
    is negative. Bits beyond n are 0 in both, so that they agree.
    """
    negative = torch.cat([x, y[:, None]], dim=1).cpu().numpy().T < 0
    packed = np.packbits(np.ascontiguousarray(negative), axis=1, bitorder="little")
    words = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view("<u8")
    return words[:-1], words[-1]


def disagreements(words: Words) -> NDArray[np.int64]:
    """Ones in each row of words (…, W): int64 (…)."""
    counts: NDArray[np.int64] = np.bitwise_count(words).sum(-1, dtype=np.int64)
    return counts
