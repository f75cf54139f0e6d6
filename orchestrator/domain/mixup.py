"""Mixup: training on convex combinations of pairs of examples."""

from typing import NamedTuple

import torch

from orchestrator.domain.minibatches import CHUNK_STEPS
from orchestrator.domain.streams import Streams


class Mix(NamedTuple):
    """One step's mixture: `share` (B, 1) of each example, the rest from row `partner` (B, rows)."""

    share: torch.Tensor
    partner: torch.Tensor

    def inputs(self, x: torch.Tensor) -> torch.Tensor:
        """Share x_i + (1 - share) x_partner(i) for inputs (B, rows, width)."""
        other = x.gather(1, self.partner[:, :, None].expand_as(x))
        share = self.share[:, :, None]
        return x * share + other * (1.0 - share)

    def loss(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """The same combination of the losses against the labels of both, each (B, rows)."""
        return own * self.share + other * (1.0 - self.share)


def mixes(streams: Streams, alpha: float, used: torch.Tensor, rows: int) -> list[Mix]:
    """The mixtures of `CHUNK_STEPS` steps, for trials whose first used[b] of `rows` rows count.

    Every step draws one share ~ Beta(alpha, alpha) and one permutation of the used rows for each
    trial. A share s and 1 - s with the inverse permutation give the same batch, so s is taken as
    the larger of the two, and alpha -> 0 becomes training without mixup (the share is 1).

    Source: Zhang, Cisse, Dauphin & Lopez-Paz (2018), arXiv:1710.09412, whose share is also drawn
    once per batch.
    """
    drawn = [generator.beta(alpha, alpha, CHUNK_STEPS) for generator in streams.generators()]
    share = torch.tensor([list(one) for one in drawn], dtype=torch.float64, device=streams.device)
    share = torch.maximum(share, 1.0 - share).to(streams.dtype)
    place = torch.arange(rows, device=streams.device)
    rank = streams.uniforms(CHUNK_STEPS, rows) + (place >= used[:, None, None]) * 2.0
    # The used rows come first, in random order; the others follow, and point at one another.
    partner = rank.argsort(dim=2, stable=True)
    steps = zip(share.unbind(1), partner.unbind(1), strict=True)
    return [Mix(own[:, None], other) for own, other in steps]
