"""MOMAPPO: rewards that add up, a front, and the choice from it."""

from typing import Any

import pytest
import torch
from helpers.training import train

from accord.baselines import make_method
from accord.baselines.learners.momappo import (
    Momappo,
    MomappoConfig,
    PartsEnvironment,
    VectorEnvironment,
    measure,
    measure_return,
)
from accord.baselines.multipliers.held import HeldMultipliers
from accord.baselines.testing import MemoryCheckpoint, differences
from accord.baselines.training.joint import JointEnvironment
from accord.envs import make
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

ADDRESS = "paper_seven/ring/average-0.21"
ALLOCATION = "allocation_4x1/radius-1/steady"
SETTINGS: dict[str, Any] = {
    "lanes": 28,
    "scalarisations": 3,
    "try_copies": 2,
    "ppo": {"hidden": [8], "minibatch": 336},
}


def test_the_objectives_add_up_to_the_priced_reward() -> None:
    task = make("campus_seven/ring/hourly-0.35")
    method = make_method("momappo", SETTINGS)
    assert isinstance(method, Momappo)
    assert isinstance(method.config, MomappoConfig)
    held = HeldMultipliers(task.spec, "penalty", method.config.constraints, own=False)
    held.lam.copy_(torch.rand(held.lam.shape, generator=torch.Generator().manual_seed(2)))
    rewards = []
    for kind in (JointEnvironment, VectorEnvironment):
        generator = torch.Generator().manual_seed(0)
        given = (True, held) if kind is JointEnvironment else (held,)
        env = kind(make("campus_seven/ring/hourly-0.35"), method.config, *given, 0.99, generator)  # type: ignore[arg-type]
        env.reset()
        actions = torch.randn(30, env.groups, env.agents, 2, generator=torch.Generator().manual_seed(1))
        rewards.append(torch.stack([(env.step(action)[1] * env.weights).sum(-1) for action in actions]))
    assert len(VectorEnvironment(task, method.config, held, 0.99, torch.Generator()).weights) == 26
    torch.testing.assert_close(*rewards)


def test_the_policy_that_is_kept_is_the_one_of_the_front_that_the_budgets_pick() -> None:
    controller, rows = train("momappo", ADDRESS, SETTINGS, 30_000)
    assert rows[-1]["steps"] >= 30_000
    tried = 3 * 2 * 7 * 80  # policies, copies, agents and hours of an episode: measured, not learned from
    assert rows[-1]["learned_steps"] == rows[-1]["steps"] - tried
    assert all(0 < row["learned_steps"] <= row["steps"] for row in rows)
    front = [(max(row["front_violation"], 0.0), row["front_cost"]) for row in rows if "front_cost" in row]
    assert len(set(front)) == 3
    scenario = resolve(ADDRESS)
    violation, cost = measure(scenario.task(), controller.greedy(), scenario.network(), 2)  # type: ignore[attr-defined]
    assert (max(violation, 0.0), cost) == pytest.approx(min(front))


def test_a_training_stopped_in_any_of_its_parts_goes_on_bit_for_bit() -> None:
    whole = MemoryCheckpoint()
    uninterrupted, _ = train("momappo", ADDRESS, SETTINGS, 30_000, checkpoint=whole)
    for saves in (1, len(whole.states) - 1):
        half = MemoryCheckpoint(whole.states[:saves])
        controller, _ = train("momappo", ADDRESS, SETTINGS, 30_000, checkpoint=half)
        assert differences(controller.state_dict(), uninterrupted.state_dict()) == []


def test_the_parts_of_a_reward_and_the_guidance_add_up_to_what_others_learn_from() -> None:
    method = make_method("momappo", SETTINGS | {"guidance": 0.5})
    assert isinstance(method.config, MomappoConfig)
    rewards = []
    for plain in (True, False):
        generator, task = torch.Generator().manual_seed(0), make(ALLOCATION)
        env = (
            JointEnvironment(task, method.config, False, None, 0.99, generator)
            if plain
            else PartsEnvironment(task, method.config, torch.ones(3), generator)
        )
        env.reset()
        actions = torch.randn(30, env.groups, env.agents, 2, generator=torch.Generator().manual_seed(1))
        rewards.append(torch.stack([(env.step(action)[1] * env.weights).sum(-1) for action in actions]))
    assert rewards[0].abs().sum() > 0
    torch.testing.assert_close(*rewards)


def test_the_policy_of_the_highest_return_is_kept_where_a_reward_has_parts() -> None:
    controller, rows = train("momappo", ALLOCATION, SETTINGS, 20_000)
    front = [row["front_return"] for row in rows if "front_return" in row]
    assert len(set(front)) == 3
    scenario = resolve(ALLOCATION)
    found = measure_return(scenario.task(), controller.greedy(), scenario.network(), 2)  # type: ignore[attr-defined]
    assert found == pytest.approx(max(front))


def test_a_task_without_budgets_or_parts_has_nothing_to_weigh() -> None:
    with pytest.raises(UsageError, match="neither budgets nor parts of a reward to weigh"):
        make_method("momappo").build(make("games/climbing"), torch.Generator())
