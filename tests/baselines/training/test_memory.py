"""Learners with a GRU on the whole task."""

from typing import Any

import pytest
import torch
from helpers.training import train

from accord.baselines import make_method
from accord.baselines.base import RolloutStart
from accord.baselines.testing import MemoryCheckpoint
from accord.envs import make
from accord.envs.network import Network

ADDRESS = "paper_seven/ring/average-0.27"
COMMON = {"lanes": 28, "policies": "per_type"}
SETTINGS: dict[str, dict[str, Any]] = {
    "mappo-penalty": COMMON | {"ppo": {"hidden": [8], "recurrent": True, "minibatch": 336}},
    "qmix-penalty": COMMON | {"hidden": [8], "recurrent": True, "batch": 4, "updates": 1, "mixer_width": 4},
}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_learner_with_memory_trains_acts_and_forgets_at_the_start(name: str) -> None:
    kept = MemoryCheckpoint()
    controller, rows = train(name, ADDRESS, SETTINGS[name], 5_000, checkpoint=kept)
    assert rows[-1]["steps"] >= 5_000
    task, network = make(ADDRESS), Network.build("ring", 7)

    def act(start: int) -> torch.Tensor:
        """Actions [T, B, N, A] of six hours."""
        generator, actions = torch.Generator().manual_seed(0), []
        with torch.no_grad():
            controller.reset(RolloutStart(task.spec, network, 3, generator))
            step = task.reset(3, generator, start=start)
            for _ in range(6):
                actions.append(controller.act(step))
                step = task.step(actions[-1])
                controller.feedback(step)
        return torch.stack(actions)

    first = act(0)
    assert first.shape == (6, 3, 7, 2)
    assert controller._memory.shape == (3, 7, 8)  # type: ignore[attr-defined]
    assert controller._memory.abs().max() > 0  # type: ignore[attr-defined]
    act(100)
    assert torch.equal(act(0), first)
    fresh = make_method(name, SETTINGS[name]).build(task, torch.Generator().manual_seed(9))
    fresh.load_state_dict(controller.state_dict())
    controller = fresh
    assert torch.equal(act(0), first)
