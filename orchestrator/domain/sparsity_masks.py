"""N:M masks: of every M consecutive weights into a unit, N are kept."""

import torch


def kept(scores: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """Where the n largest of every m consecutive scores lie: bool, like scores (B, d, width).

    Groups run along d, from its first place on, for each trial and unit by itself. Of the d mod m
    places that are left over at the end, min(n, d mod m) are kept. Of equal scores the first is.
    """
    trials, d, units = scores.shape
    groups = -(-d // m)
    ranked = scores.new_full((trials, groups * m, units), -torch.inf)
    ranked[:, :d] = scores
    ranked = ranked.view(trials, groups, m, units)
    order = ranked.argsort(dim=2, descending=True, stable=True)
    mask = torch.zeros_like(ranked, dtype=torch.bool).scatter_(2, order[:, :, :n], True)
    return mask.view(trials, groups * m, units)[:, :d]
