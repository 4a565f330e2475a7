"""Q-learning with distributed MPC: it learns, and an interrupted training goes on as if it had not been."""

from typing import Any

import numpy as np
import pytest
import torch

from accord.baselines.base import Effort, Training
from accord.baselines.control.dmpc_q import CoupledPlanner
from accord.baselines.registry import make_method
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.toy.coupled_linear import ADDRESS

SHORT = {"stages": 5, "batch": 20}


class Kept:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None
        self.saved = 0

    def load(self) -> dict[str, Any] | None:
        return self.state

    def save(self, state: dict[str, Any]) -> None:
        self.state, self.saved = state, self.saved + 1

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Any) -> None:
        pass


def trained(samples: int, kept: Kept | None = None, **settings: Any) -> tuple[CoupledPlanner, list[dict[str, float]]]:
    scenario, rows = resolve(ADDRESS), list[dict[str, float]]()
    method = make_method("dmpc_q", SHORT | settings)
    generator = torch.Generator().manual_seed(0)
    training = Training(Effort(3 * samples, 3_600.0), generator, lambda row: rows.append(dict(row)), kept or Kept())
    controller = method.train(scenario.task(), scenario.network(), training)
    assert isinstance(controller, CoupledPlanner)
    return controller, rows


def test_temporal_differences_fall_and_parameters_move_a_little_at_a_time() -> None:
    controller, rows = trained(600)
    assert [row["steps"] for row in rows] == [60 * (n + 1) for n in range(30)]
    errors = [row["td_error"] for row in rows]
    assert np.mean(errors[-8:]) < 0.6 * np.mean(errors[:4])
    start = make_method("dmpc_q", SHORT).build(resolve(ADDRESS).task(), torch.Generator()).state_dict()["parameters"]
    moved = (controller.state_dict()["parameters"] - start).abs()
    assert 0 < float(moved.max()) <= 30 * 0.05


def test_an_interrupted_training_goes_on_bit_for_bit() -> None:
    whole, _ = trained(80)
    kept = Kept()
    trained(40, kept)
    resumed, _ = trained(80, kept)
    assert torch.equal(whole.state_dict()["parameters"], resumed.state_dict()["parameters"])


def test_negotiated_values_teach_nearly_the_same_as_central_ones() -> None:
    central, negotiated = trained(20)[0], trained(20, solves="negotiated", rounds=40)[0]
    assert torch.allclose(central.state_dict()["parameters"], negotiated.state_dict()["parameters"], atol=5e-3)


def test_the_printed_step_moves_parameters_hardly() -> None:
    moved = [trained(40, update=update)[0].state_dict()["parameters"] for update in ("first_order", "gauss_newton")]
    start = make_method("dmpc_q", SHORT).build(resolve(ADDRESS).task(), torch.Generator()).state_dict()["parameters"]
    first, newton = ((parameters - start).abs().max() for parameters in moved)
    assert 0 < first < 0.1 * newton


def test_it_learns_on_its_own_task_alone() -> None:
    with pytest.raises(UsageError, match="is not coupled/three"):
        make_method("dmpc_q").build(resolve("games/climbing").task(), torch.Generator())
