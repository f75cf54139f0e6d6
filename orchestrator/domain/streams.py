"""Counter-based random streams: one per (trial key, purpose), drawn on the host.

A stream is numpy's Philox keyed by a 128-bit hash of the trial's key and a purpose. It is
**prefix-stable**: row i of a draw depends on the key, the purpose and i only, so the first n rows
are the same whatever the count. Numbers are drawn on the CPU and copied to the device, so that a
trial sees the same data everywhere. Nothing here touches torch's or numpy's global generator.

Every call draws from a stream of its own: the n-th draw of a scope has purpose `scope/n`. Two draws
in one scope are therefore independent, and drawing more of the first leaves the second as it was.

Source of the generator: Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as
1, 2, 3", SC11.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray


class Streams:
    """The random streams of a pack: row b of every draw belongs to `keys[b]`.

    `dtype` is that of real-valued draws; normals and uniforms are drawn in float64 and rounded to
    it, so a float32 learner sees the float64 learner's data, rounded.
    """

    def __init__(
        self,
        keys: Sequence[str],
        scope: str = "",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.keys = tuple(keys)
        self.scope = scope
        self.device = torch.device(device)
        self.dtype = dtype
        self._draws = 0

    def __len__(self) -> int:
        return len(self.keys)

    def at(self, purpose: str) -> "Streams":
        """Fresh streams for `purpose`; asking twice for one purpose gives equal draws."""
        return Streams(self.keys, f"{self.scope}/{purpose}", self.device, self.dtype)

    def of(self, trial: int) -> "Streams":
        """The streams of one trial of the pack, as a pack of one, at the same scope."""
        return Streams(self.keys[trial : trial + 1], self.scope, self.device, self.dtype)

    def generators(self) -> list[np.random.Generator]:
        """One fresh numpy generator per trial, for draws that no method here offers."""
        purpose = f"{self.scope}/{self._draws}"
        self._draws += 1
        return [_generator(key, purpose) for key in self.keys]

    def normals(self, *shape: int) -> torch.Tensor:
        """Independent N(0, 1): (B, *shape), `dtype`."""
        return self._real(_filled(self.generators(), shape, _normal))

    def uniforms(self, *shape: int) -> torch.Tensor:
        """Independent uniforms on [0, 1), multiples of 2^-53 but for rounding: (B, *shape)."""
        return self._real(_filled(self.generators(), shape, _uniform))

    def bits(self, count: int, width: int) -> torch.Tensor:
        """Fair bits: uint8 (B, count, width) of 0 and 1."""
        return torch.from_numpy(self._bits(count, width)).to(self.device)

    def signs(self, count: int, width: int) -> torch.Tensor:
        """Fair signs: (B, count, width) of -1 and +1, `dtype`."""
        return self.bits(count, width).to(self.dtype).mul_(2.0).sub_(1.0)

    def flips(self, rate: float, count: int) -> torch.Tensor:
        """-1 with chance `rate`, else +1: (B, count), `dtype`. Exactly +1 at rate 0."""
        drawn = _filled(self.generators(), (count,), _uniform)
        return self._real(np.where(drawn < rate, -1.0, 1.0))

    def subsets(self, size: int, count: int) -> torch.Tensor:
        """`count` distinct coordinates of range(`size`), uniform, ascending: int64 (B, count)."""
        drawn = _filled(self.generators(), (size,), _uniform)
        chosen = np.sort(np.argsort(drawn, axis=1, kind="stable")[:, :count], axis=1)
        return torch.from_numpy(chosen).to(self.device)

    def permutations(self, size: int) -> torch.Tensor:
        """The numbers of range(`size`) in uniformly random order: int64 (B, size)."""
        drawn = _filled(self.generators(), (size,), _uniform)
        return torch.from_numpy(np.argsort(drawn, axis=1, kind="stable")).to(self.device)

    def indices(self, below: torch.Tensor, *shape: int) -> torch.Tensor:
        """Uniform on range(below[b]) for each trial b: int64 (B, *shape). `below` is int64 (B,).

        Floor of a uniform times the bound: off from uniform by at most bound * 2^-53.
        """
        drawn = _filled(self.generators(), shape, _uniform)
        bound = below.cpu().numpy().astype(np.float64).reshape((-1,) + (1,) * len(shape))
        return torch.from_numpy((drawn * bound).astype(np.int64)).to(self.device)

    def _bits(self, count: int, width: int) -> NDArray[np.uint8]:
        per_row = -(-width // 8)  # rows start on a byte, so that they stay put when count grows
        drawn = np.stack(
            [
                np.frombuffer(generator.bytes(count * per_row), dtype=np.uint8)
                for generator in self.generators()
            ]
        ).reshape(len(self.keys), count, per_row)
        return np.ascontiguousarray(np.unpackbits(drawn, axis=2)[:, :, :width])

    def _real(self, drawn: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(drawn).to(device=self.device, dtype=self.dtype)


def _generator(key: str, purpose: str) -> np.random.Generator:
    digest = hashlib.blake2b(f"{key}{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def _normal(generator: np.random.Generator, out: NDArray[np.float64]) -> None:
    generator.standard_normal(out=out)


def _uniform(generator: np.random.Generator, out: NDArray[np.float64]) -> None:
    generator.random(out=out)


def _filled(generators, shape, draw) -> NDArray[np.float64]:  # type: ignore[no-untyped-def]
    out = np.empty((len(generators), *shape))
    for row, generator in zip(out, generators, strict=True):
        draw(generator, row)
    return out
