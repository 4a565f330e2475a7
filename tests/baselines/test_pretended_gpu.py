"""Every trunk trains and acts on a GPU, with the processor's numbers, and goes on from what the other has left."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.pretended_gpu import GPU, OnGpu, numbers, pretended_gpu
from torch.utils._pytree import tree_leaves

from accord.baselines.base import Controller, Effort, Training
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin, roll_out
from accord.baselines.testing import MemoryCheckpoint, differences
from accord.envs.catalogue import resolve

DISTRICT, ALLOCATION = "synthetic_4-week/ring/average-0.4", "allocation_4x1/radius-1/steady"
EPISODE = 8  # steps
PPO = {"hidden": [4], "epochs": 1, "rollout_steps": 4}
JOINT = {"lanes": 8, "ppo": PPO}
VALUES = {"lanes": 8, "hidden": [4], "mixer_width": 4, "hyper_width": 4, "sequence": 4, "batch": 2, "updates": 1}
ATTENTION = JOINT | {"width": 4, "embedding": 4}
# Where each trains, how, and in how many rollouts of four steps.
LEARNERS: dict[str, tuple[str, dict[str, Any], int]] = {
    "consensus-gossip": (DISTRICT, {"copies": 2, "agents": 2, "ppo": PPO}, 4),
    "apg-moving-gossip": (DISTRICT, {"copies": 2, "agents": 2, "hidden": [4], "window": 4}, 4),
    "mappo-lagrangian": (DISTRICT, JOINT, 100),
    "networked-primal_dual": (DISTRICT, JOINT, 100),
    "momappo": (DISTRICT, JOINT | {"scalarisations": 2, "try_copies": 1}, 16),
    "qmix-augmented": (DISTRICT, VALUES, 6),
    "drigm_qmix": (DISTRICT, VALUES, 6),
    "lgtc-ippo": (ALLOCATION, ATTENTION, 4),
    "ippo-attention": (ALLOCATION, ATTENTION, 4),
}


def trained(name: str, device: str, checkpoint: MemoryCheckpoint) -> Controller:
    address, settings, rollouts = LEARNERS[name]
    scenario = resolve(address)
    task = scenario.task(device)
    task.spec = replace(task.spec, horizon=EPISODE)
    training = Training(Effort(rollouts * 32, 1e9), torch.Generator().manual_seed(0), checkpoint=checkpoint)
    return make_method(name, settings).train(task, scenario.network().to(task.device), training)


def acts(controller: Controller, name: str, device: str) -> list[torch.Tensor]:
    scenario, generator = resolve(LEARNERS[name][0]), torch.Generator().manual_seed(1)
    task = scenario.task(device)
    network = scenario.network().to(task.device)
    with torch.inference_mode():
        begin(task, controller, network, 1, generator)
        return [numbers(step.obs) for step in roll_out(task, controller, network, task.reset(1, generator), 3)]


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gpu_learns_what_the_processor_does_and_each_goes_on_where_the_other_stopped(name: str) -> None:
    here, there = MemoryCheckpoint(), MemoryCheckpoint()
    processor = trained(name, "cpu", here)
    with pretended_gpu():
        gpu = trained(name, str(GPU), there)
        assert all(isinstance(leaf, OnGpu) for leaf in tree_leaves(gpu.state_dict()) if isinstance(leaf, torch.Tensor))
        begun = MemoryCheckpoint(here.states[: len(here.states) // 2])
        after = trained(name, str(GPU), begun)
        assert not differences(acts(processor, name, "cpu"), acts(gpu, name, str(GPU)))
    assert not differences(processor.state_dict(), numbers(gpu.state_dict()))
    assert not differences(processor.state_dict(), numbers(after.state_dict()))
    assert len(begun.states) > len(here.states) // 2 > 0
    back = trained(name, "cpu", MemoryCheckpoint(there.states[: len(there.states) // 2]))
    assert not differences(processor.state_dict(), back.state_dict())
