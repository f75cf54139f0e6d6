"""Uniformly drawn directions, the concepts of targets that hide one."""

import torch

from orchestrator.domain.streams import Streams


def uniform_direction(d: int, streams: Streams) -> torch.Tensor:
    """Uniform on the unit sphere of R^d: (B, d), normals over their length."""
    drawn = streams.normals(d)
    return drawn / drawn.square().sum(1, keepdim=True).sqrt()
