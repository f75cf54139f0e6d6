"""How well the kernel of a network's features fits labels, and how large its space is.

Features H are (n, N), one row per example; their kernel is K = H H' / N. Whichever of K and H'H / N
is smaller is used: they have the same eigenvalues but for zeros.
"""

import torch


def alignment(hidden: torch.Tensor, y: torch.Tensor) -> float:
    """Y'K y / (|K|_F |y|^2) for labels y (n,): 1 for K = y y', else less. Neither is centred.

    nan where K or y is 0 or not finite.
    Source: Cristianini, Shawe-Taylor, Elisseeff & Kandola (2001), "On kernel-target alignment".
    """
    size = torch.linalg.matrix_norm(_smaller(hidden)) * y.square().sum()
    return float((hidden.T @ y).square().sum() / hidden.shape[1] / size)


def degrees_of_freedom(hidden: torch.Tensor, ridge: float) -> float:
    """Tr K (K + ridge I)^-1: how many directions a ridge leaves.

    nan where K is not finite.
    """
    gram = _smaller(hidden)
    if not bool(gram.isfinite().all()):
        return float("nan")
    values = torch.linalg.eigvalsh(gram).clamp_min(0.0)
    return float((values / (values + ridge)).sum())


def _smaller(hidden: torch.Tensor) -> torch.Tensor:
    wide = hidden if hidden.shape[0] <= hidden.shape[1] else hidden.T
    return wide @ wide.T / hidden.shape[1]
