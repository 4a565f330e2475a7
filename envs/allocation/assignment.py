"""Which agent should serve which consumer: a linear assignment, for guidance in training.

The paper guides by its expert's programme; this is cheap enough for every step of training, and dearer in ways.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

WAY = 0.5  # units of unmet demand that a half square of way is worth
USELESS = -1e3
SEATS = 6  # agents at one consumer for one resource, at most


def assign(places: Tensor, carried: Tensor, consumers: Tensor, demand: Tensor) -> Tensor:
    """The consumer of each agent, [B, N]; -1 where nobody needs what it carries.

    A consumer has `SEATS` seats for each resource. The k-th one is worth what is needed beyond what k agents of the
    mean load bring, up to what the agent carries; an agent pays for its way.

    Args:
        places: [B, N, 2].
        carried: [B, N, W] units.
        consumers: [B, M, 2].
        demand: [B, M, W] units.
    """
    n, resources = carried.shape[1:]
    seats = min(SEATS, n)
    mean = carried.sum(1) / (carried > 0).sum(1).clamp_min(1)  # [B, W]
    taken = torch.arange(seats, device=places.device) * mean[:, None, :, None]
    left = (demand[..., None] - taken).clamp_min(0.0)  # [B, M, W, K]
    worth = torch.minimum(carried[:, :, None, :, None], left[:, None]).flatten(3)  # [B, N, M, W·K]
    gain = worth - WAY * torch.cdist(places, consumers)[..., None]
    table = torch.where(worth > 0, gain, USELESS).flatten(2).double().cpu().numpy()
    chosen = np.full(places.shape[:2], -1)
    for copy, gains in enumerate(table):
        rows, columns = linear_sum_assignment(gains, maximize=True)
        useful = gains[rows, columns] > USELESS
        chosen[copy, rows[useful]] = columns[useful] // (resources * seats)
    return torch.from_numpy(chosen).to(places.device)
