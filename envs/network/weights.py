"""The weights that neighbours mix with, as sparse rows, and products with them."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

Ids = NDArray[np.int64]
Reals = NDArray[np.float64]


def metropolis(first: Reals, second: Reals) -> Reals:
    """The weight of links between agents with so many neighbours, [L] each (Xiao & Boyd 2004)."""
    return 1.0 / (1.0 + np.maximum(first, second))


def mixing_rows(values: Reals, targets: Ids, sources: Ids, own: Ids, columns: int) -> csr_matrix:
    """Rows of W: what an agent weighs its neighbours with, and itself with the rest.

    Args:
        values: Weight of each directed link, [L].
        targets: The row that it is in, [L], ascending.
        sources: The column that it is in, [L], ascending within a row.
        own: Column of each row's own agent, [n].
        columns: How many there are, C.

    Returns:
        Float64, [n, C].
    """
    rows, shape = np.arange(len(own)), (len(own), columns)
    kept = 1.0 - np.bincount(targets, weights=values, minlength=len(own))
    return csr_matrix(csr_matrix((values, (targets, sources)), shape) + csr_matrix((kept, (rows, own)), shape))


def sparse_tensor(rows: csr_matrix) -> Tensor:
    """The same for torch."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(rows.indptr.astype(np.int32)),
            torch.from_numpy(rows.indices.astype(np.int32)),
            torch.from_numpy(rows.data),
            rows.shape,
            check_invariants=True,
        )


def apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply a dense or sparse `[M, N]` with every copy of `x [B, N, k]`: `[B, M, k]`."""
    batch, n_agents, width = x.shape
    if batch == 1:
        return (matrix @ x[0]).unsqueeze(0)
    # One wide product: a batched one is several times slower for few numbers an agent.
    wide = matrix @ x.transpose(0, 1).reshape(n_agents, batch * width)
    return wide.view(-1, batch, width).transpose(0, 1)
