"""Tensors stay on their device, and no step waits for it.

The device of these tests is torch's `meta`, which every machine has: tensors there have shapes and no numbers, so what
mixes devices fails, and so does what reads a number back. Products with sparse matrices are not there: few agents.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Adam

from accord.baselines.base import Effort, RolloutStart, Training
from accord.baselines.consensus.chunked_rollout import FusedConsensus
from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.registry import make_method
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response import DemandResponse
from accord.envs.network import Network

ADDRESS = "synthetic_20/regular-4/hourly-0.35"
SMALL = {"hidden": (8,)}
PPO = {"ppo": {**SMALL, "rollout_steps": 12, "epochs": 1}}
REPLAYED = {**SMALL, "lanes": 40, "sequence": 12, "updates": 1, "batch": 2}
LEARNERS = {
    "consensus-gossip": {**PPO, "copies": 2},
    "ippo-augmented": {**PPO, "lanes": 40},
    "mappo-augmented": {**PPO, "lanes": 40},
    "momappo": {**PPO, "lanes": 40, "scalarisations": 1, "try_copies": 1},
    "vdn-augmented": REPLAYED,
    "iql-augmented": REPLAYED,
    "qmix-augmented": REPLAYED,
}


def elsewhere() -> tuple[DemandResponse, Network]:
    scenario = resolve_district(ADDRESS)
    return scenario.task("meta"), scenario.network().to("meta")


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device's generator draws on its device alone: every draw says where."""

    def strict(draw: Callable[..., Tensor], *args: Any, **given: Any) -> Tensor:
        assert given["device"] == given["generator"].device
        return draw(*args, **given)

    for name in ("rand", "randn", "randint", "randperm"):
        monkeypatch.setattr(torch, name, partial(strict, getattr(torch, name)))


@pytest.mark.parametrize("method", [*LEARNERS, "consensus-primal_dual", "rule_based", "serve_now", "random"])
@torch.inference_mode()
def test_execution_stays_on_its_device(method: str) -> None:
    task, network = elsewhere()
    controller = make_method(method, LEARNERS.get(method, {})).build(task, torch.Generator())
    controller.reset(RolloutStart(task.spec, network, 1, torch.Generator()))
    step = task.reset(1, torch.Generator(), start=1000, horizon=3)  # its end would be waited for
    for _ in range(2):
        step = task.step(controller.act(step))
        controller.feedback(step)
    assert step.reward.device.type == step.obs.device.type == "meta"
    assert all(value.device.type == "meta" for value in controller.diagnostics().values())


@pytest.mark.parametrize("budget", ["hourly-0.35", "average-0.3"])
def test_chunks_stay_on_their_device(budget: str) -> None:
    scenario = resolve_district(f"synthetic_20/regular-4/{budget}")
    task, network = scenario.task("meta"), scenario.network().to("meta")
    controller = make_method("consensus-gossip", PPO).build(scenario.task(), torch.Generator())
    assert isinstance(controller, ConsensusController)
    rollout = FusedConsensus(task, network, controller.actors[0], controller.config.dual, chunk=8)
    rollout.reset(1000)
    for _ in range(2):
        rollout.step()
    assert rollout.multipliers.device.type == rollout.outcome().reward.device.type == "meta"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What training reads back, which counts as zero."""
    seen: list[Tensor] = []

    def zero(tensor: Tensor) -> float:
        seen.append(tensor)
        return 0.0

    number = torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda tensor: zero(tensor) if tensor.is_meta else number(tensor))
    truth = torch.Tensor.__bool__
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda tensor: not zero(tensor) if tensor.is_meta else truth(tensor))
    # Adam's fused kernel is there for real devices alone.
    monkeypatch.setattr(torch.optim, "Adam", lambda *args, fused, **given: Adam(*args, **given))
    return seen


@pytest.mark.parametrize("method", LEARNERS)
def test_training_reads_back_once_per_iteration(method: str, read: list[Tensor]) -> None:
    task, network = elsewhere()
    rows: list[int] = []
    iterations = 10 if method == "momappo" else 3  # whose training has parts
    effort = Effort(iterations * 40 * 12, 1e9)
    training = Training(effort, torch.Generator(), lambda row: rows.append(len(read)))
    make_method(method, LEARNERS[method]).train(task, network, training)
    assert len(rows) >= 3
    assert rows[0] < 12  # the losses and the reward of an iteration, and nothing for each of its steps
    assert rows[1] - rows[0] == rows[2] - rows[1] <= rows[0]
