"""By how much budgets are exceeded, what is still owed included."""

from __future__ import annotations

import torch
from torch import Tensor

from accord.benchmark.evaluation.trajectory import Trajectory


def excess_of(run: Trajectory) -> Tensor:
    """Relative excess of every budget, debt included, [m]."""
    return (run.used / run.counted.clamp_min(1) + debt_of(run) - run.limits) / run.scales


def debt_of(run: Trajectory) -> Tensor | float:
    """Load still owed in each budget, per hour, [m]."""
    owed = owed_by(run)
    return (run.members * owed[:, None]).sum(0) / run.hours if owed.numel() else 0.0


def all_positive(run: Trajectory) -> bool:
    """Every budget has a limit that use can be a share of."""
    return bool((run.limits > 0).all())


def owed_by(run: Trajectory) -> Tensor:
    """Load still waiting at the end, [N]; the plant starts with none. Empty where the task has no shortfall."""
    if run.final_waiting is None:
        return torch.zeros(0, dtype=torch.float64)
    return run.final_waiting.clamp_min(0.0)
