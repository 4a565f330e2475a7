"""The step size over a training."""

import pytest
import torch

from accord.baselines.training.loop import _decay_lr


@pytest.mark.parametrize(("fraction", "lr"), [(0.0, 0.2), (0.5, 0.11), (1.0, 0.02)])
def test_the_step_size_falls_to_a_tenth(fraction: float, lr: float) -> None:
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=7.0)
    _decay_lr(optimiser, 0.2, fraction)
    assert [group["lr"] for group in optimiser.param_groups] == [pytest.approx(lr)]
