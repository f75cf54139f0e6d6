"""Random orthonormal columns: orthonormal, repeatable, and whole where a column is degenerate."""

import pytest
import torch

from orchestrator.domain import orthogonal
from orchestrator.domain.orthogonal import orthonormal_columns
from orchestrator.domain.streams import Streams


@pytest.mark.parametrize("drawn_by", ["row", "column"])
def test_columns_are_orthonormal_and_positive_along_what_was_drawn(drawn_by):
    found = orthonormal_columns(6, 4, Streams(["a", "b"]), drawn_by)
    assert found.shape == (2, 6, 4)
    assert torch.allclose(found.mT @ found, torch.eye(4, dtype=found.dtype).expand(2, 4, 4))
    size = (6, 4) if drawn_by == "row" else (4, 6)
    drawn = Streams(["a", "b"]).normals(*size)
    R = found.mT @ (drawn if drawn_by == "row" else drawn.mT)
    assert torch.allclose(R.tril(-1), torch.zeros_like(R), atol=1e-12)
    assert bool((R.diagonal(dim1=1, dim2=2) > 0.0).all())


def test_drawn_by_column_the_first_do_not_depend_on_how_many_there_are():
    few, many = (orthonormal_columns(6, k, Streams(["a"]), "column") for k in (2, 5))
    assert torch.allclose(many[:, :, :2], few)


def test_no_column_is_lost_where_the_drawn_ones_are_dependent():
    found = orthogonal._positive_q(torch.zeros(3, 2, dtype=torch.float64))
    assert torch.allclose(found.T @ found, torch.eye(2, dtype=torch.float64))
