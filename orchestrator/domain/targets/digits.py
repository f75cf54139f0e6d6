"""Handwritten digits: is an image one of k digits?"""

from functools import cache
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from orchestrator.domain.point import Point
from orchestrator.domain.streams import Streams
from orchestrator.domain.target import Examples, Labels, Target

FILE = Path(__file__).parent.parent / "data" / "digits.npz"
KINDS = 10
"""Digits 0 … 9."""
HELD_OUT = 500
"""Images of each trial that are kept for judging. By hand, of 1,797."""


class Digits(Target):
    """y = +1 where an 8 x 8 image shows one of k digits, chosen anew for each trial, else -1.

    k counts the digits that are +1, 1 … 9: k = 1 asks for one against the rest, k = 5 (the default)
    splits them in halves. d counts pixels, up to 64: the d that vary most over all images, in
    reading order. Each has its mean over all images subtracted; all are divided by one number, so
    that |x|^2 is d on average.

    Each trial splits the 1,797 images at random into 500 on which it is judged and 1,297 from which
    examples come: each of them once, in random order, then the same again. `data/README.md` says
    where the images are from.

    Source: Alpaydin & Kaynak (1998), "Cascading classifiers", Kybernetika 34(4); as shipped with
    scikit-learn (Pedregosa et al. 2011, JMLR 12).
    """

    kind: Literal["digits"] = "digits"

    labels: ClassVar[Labels] = "sign"
    test_count: ClassVar[int] = HELD_OUT
    default_k: ClassVar[int] = 5

    def faults(self, d: int, k: int) -> list[str]:
        """Besides k > d: more pixels than there are, or every digit +1."""
        found = super().faults(d, k)
        if d > 64:
            found.append(f"d = {d} exceeds the 64 pixels of an image; lower d")
        if k >= KINDS:
            found.append(f"k = {k} leaves none of the ten digits for -1; lower k to 9")
        return found

    def draw(self, point: Point, streams: Streams) -> torch.Tensor:
        """The signs of the ten digits, then a random order of all images: int64 (B, 10 + 1797)."""
        chosen = streams.subsets(KINDS, point.k)
        signs = torch.full((len(streams), KINDS), -1, device=streams.device)
        order = _shuffled(streams, len(images().digits))
        return torch.cat([signs.scatter(1, chosen, 1), order], 1)

    def examples(
        self, concept: torch.Tensor, point: Point, count: int, streams: Streams
    ) -> Examples:
        """X (B, count, d) and y (B, count), from images that are not held out."""
        pool = concept[:, KINDS + HELD_OUT :]
        turn = torch.arange(count, device=concept.device) % pool.shape[1]
        places = _shuffled(streams, pool.shape[1])[:, turn]
        return _shown(pool.gather(1, places), concept, point.d, streams.dtype)

    def held_out(self, concept: torch.Tensor, point: Point, streams: Streams) -> Examples:
        """The trial's 500 held-out images."""
        return _shown(concept[:, KINDS : KINDS + HELD_OUT], concept, point.d, streams.dtype)


class Images(NamedTuple):
    """Pixels, uint8 (1797, 64) from 0 to 16, and the digits they show, uint8 (1797,)."""

    pixels: NDArray[np.uint8]
    digits: NDArray[np.uint8]


@cache
def images() -> Images:
    """All images, as shipped."""
    with np.load(FILE) as file:
        return Images(file["pixels"], file["digits"])


@cache
def _inputs(d: int) -> torch.Tensor:
    """The inputs of all images: float64 (1797, d)."""
    pixels = images().pixels.astype(np.float64)
    kept = np.sort(np.argsort(-pixels.var(0), kind="stable")[:d])
    centred = pixels[:, kept] - pixels[:, kept].mean(0)
    return torch.from_numpy(centred / np.sqrt(np.square(centred).mean()))


def _shown(which: torch.Tensor, concept: torch.Tensor, d: int, dtype: torch.dtype) -> Examples:
    """Images `which` (B, m) with their labels under each trial's concept."""
    x = _inputs(d).to(concept.device, dtype)[which]
    digit = torch.from_numpy(images().digits.astype(np.int64)).to(concept.device)[which]
    return Examples(x=x, y=concept[:, :KINDS].gather(1, digit).to(dtype))


def _shuffled(streams: Streams, size: int) -> torch.Tensor:
    """A random order of range(size) for each trial: int64 (B, size)."""
    orders = np.stack([generator.permutation(size) for generator in streams.generators()])
    return torch.from_numpy(orders).to(streams.device)
