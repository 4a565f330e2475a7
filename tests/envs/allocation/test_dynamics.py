"""Multi-resource allocation: what is handed over, what changes, what is paid."""

import warnings

import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test
from torch import Tensor

import accord.envs
from accord.envs.allocation.assignment import assign
from accord.envs.allocation.dynamics import (
    ASKED,
    COLLISION,
    DONE,
    DT,
    EMPTY,
    FAILING,
    GLOBAL,
    HALF_LIFE,
    JUMPS,
    RATE,
    SERVED,
    SPEED,
    STEPS,
    Allocation,
    ResourceAllocation,
    Variant,
)
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

VARIANTS = ("steady", "jumps", "discharging", "failures")


def task_of(n: int = 10, w: int = 2, variant: Variant = "steady", radius: float = 1.0) -> ResourceAllocation:
    return ResourceAllocation(Allocation(n, w, radius, variant))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def towards(task: ResourceAllocation, targets: Tensor) -> Tensor:
    way = (targets - task.places) / (SPEED * DT)
    return way / way.norm(dim=-1, keepdim=True).clamp_min(1.0)


def assigned(task: ResourceAllocation) -> Tensor:
    goal = assign(task.places, task.carried * task.alive[..., None], task.consumers, task.demand)
    consumers = task.consumers.gather(1, goal.clamp_min(0)[..., None].expand(-1, -1, 2))
    return torch.where((goal >= 0)[..., None], consumers, task.places)


@pytest.mark.parametrize("variant", VARIANTS)
def test_pettingzoo_accepts_it(variant: str) -> None:
    address = f"allocation_5x2/radius-1/{variant}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(accord.envs.parallel_env(address), num_cycles=250)
        parallel_seed_test(lambda: accord.envs.parallel_env(address), num_cycles=50)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_wrapper_gives_the_same_bits(variant: str) -> None:
    address = f"allocation_4x1/radius-0.5/{variant}"
    task, env = accord.envs.make(address), accord.envs.parallel_env(address)
    step, (seen, _) = task.reset(1, seeded(3)), env.reset(seed=3)
    draw = seeded(4)
    for _ in range(STEPS):
        for i, agent in enumerate(env.possible_agents):
            if agent in seen:
                assert torch.equal(torch.from_numpy(seen[agent]), step.obs[0, i])
        actions = 2 * torch.rand(1, 4, 2, generator=draw) - 1
        step = task.step(actions)
        acting = {agent: actions[0, env.possible_agents.index(agent)].numpy() for agent in env.agents}
        seen, rewards, *_ = env.step(acting)
        for agent, reward in rewards.items():
            assert reward == step.reward[0, env.possible_agents.index(agent)].item()
    assert not env.agents
    assert bool(step.truncated)


@pytest.mark.parametrize("variant", ["steady", "jumps", "failures"])
def test_what_agents_lose_is_what_consumers_get(variant: Variant) -> None:
    task = task_of(variant=variant)
    task.reset(8, seeded())
    asked, carried = task.demand.sum((1, 2)), task.carried.sum((1, 2))
    torch.testing.assert_close(asked, ASKED * carried)
    served = torch.zeros(8)
    for t in range(STEPS):
        if t % 10 == 0:
            targets = assigned(task)
        before = task.carried
        step = task.step(towards(task, targets))
        assert (before - task.carried).max() <= RATE * DT + 1e-6
        assert task.carried.min() >= 0
        served += step.measures["served"]
        torch.testing.assert_close(step.reward, step.reward_parts.sum(-1))
        torch.testing.assert_close(
            carried - task.carried.sum((1, 2)), asked - task.demand.sum((1, 2)), rtol=0, atol=1e-4
        )
        torch.testing.assert_close(served * asked, asked - task.demand.sum((1, 2)), rtol=0, atol=1e-4)
    assert served.mean() > 0.8


def test_nobody_sees_who_is_out_of_range() -> None:
    task = task_of(n=4, w=2, radius=0.5)
    task.reset(1, seeded())
    task.places = torch.tensor([[[-0.9, -0.9], [-0.8, -0.9], [-0.6, -0.9], [0.9, 0.9]]])
    before = task._observe()
    task.places[0, 3], task.carried[0, 3] = torch.tensor([0.1, 0.9]), torch.tensor([0.2, 0.3])
    after = task._observe()
    assert torch.equal(after[0, :3], before[0, :3])
    assert not torch.equal(after[0, 3], before[0, 3])
    task.places[0, 3] = torch.tensor([-0.35, -0.9])  # linked with the two nearest, sensed by the nearest alone
    places = task.spec.obs_fields["links"].where.start + 3
    assert task._observe()[0, :3, places].tolist() == [0, 1, 1]
    sensed = task.spec.obs_fields["sensed"].where
    changed = (task._observe() != after)[0, :, sensed].any(-1)
    assert changed.tolist() == [False, False, True, True]


def test_rewards_are_what_the_module_says() -> None:
    task = task_of(n=3, w=1)
    task.reset(1, seeded())
    task.consumers = torch.tensor([[[0.0, 0.0]]])
    task.places = torch.tensor([[[0.0, 0.01], [0.0, -0.01], [0.5, 0.5]]])
    task.carried, task.demand = torch.tensor([[[1.0], [0.5 * RATE * DT], [1.0]]]), torch.tensor([[[0.015]]])
    asked = float(task._asked)
    step = task.step(torch.zeros(1, 3, 2))
    met = min(0.015, 1.5 * RATE * DT)
    assert step.measures["served"].item() == pytest.approx(met / asked)
    assert step.measures["collisions"].tolist() == [[1, 1, 0]]
    given = [met / 1.5, met / 3, 0.0]  # by what they offer
    expected = [SERVED / asked * (GLOBAL * met / 3 + (1 - GLOBAL) * own) for own in given]
    assert step.reward[0].tolist() == pytest.approx([r + DONE / 2 - COLLISION for r in expected[:2]] + expected[2:])
    torch.testing.assert_close(task.carried[0, 0, 0], torch.tensor(1 - given[0]))
    assert task.step(torch.zeros(1, 3, 2)).measures["served"].item() == 0


def test_an_episode_pays_at_most_what_the_module_says() -> None:
    task = task_of(n=9, w=1)
    task.reset(16, seeded())
    total = torch.zeros(16)
    for t in range(STEPS):
        if t % 10 == 0:
            targets = assigned(task)
        step = task.step(towards(task, targets))
        total += (step.reward + COLLISION * step.measures["collisions"]).sum(1)
    assert (total <= SERVED + DONE * task.setting.consumers + 1e-3).all()
    assert total.mean() > 0.9 * SERVED


def test_demand_jumps_to_the_next_consumer_twice() -> None:
    task = task_of(variant="jumps")
    task.reset(4, seeded())
    task.places = torch.full_like(task.places, -1.0)  # nobody near
    first, jumps = task.demand.clone(), []
    for t in range(STEPS):
        before = task.demand
        task.step(torch.zeros(4, 10, 2))
        jumped = (task.demand != before).flatten(1).any(1)
        assert torch.equal(task.demand[jumped], before.roll(1, 1)[jumped])
        jumps += [(copy, (t + 1) * DT) for copy in jumped.nonzero().flatten().tolist()]
    assert torch.equal(task.demand, first.roll(2, 1))
    for copy in range(4):
        early, late = (now for who, now in jumps if who == copy)
        for now, (low, high) in zip((early, late), JUMPS, strict=True):
            assert low <= now <= high + DT + 1e-6


def test_resources_decay_to_a_half() -> None:
    task = task_of(variant="discharging")
    task.reset(1, seeded())
    task.places, before = torch.full_like(task.places, -1.0), task.carried
    for _ in range(round(HALF_LIFE / DT)):
        task.step(torch.zeros(1, 10, 2))
    torch.testing.assert_close(task.carried, before / 2, rtol=1e-4, atol=0)


def test_agents_that_fail_stand_still_and_serve_nobody() -> None:
    task = task_of(n=40, variant="failures")
    step = task.reset(8, seeded())
    assert step.alive.all()
    for t in range(STEPS):
        places, carried, alive = task.places, task.carried, task.alive
        step = task.step(torch.ones(8, 40, 2))
        assert torch.equal(task.places[~alive], places[~alive])
        assert torch.equal(task.carried[~alive], carried[~alive])
        assert step.reward[~alive].abs().sum() == 0
        assert not (step.links & ~step.alive[:, :, None]).any()
        if t * DT < FAILING[0] - 2 * DT:
            assert step.alive.all()
    assert 0.1 < (~step.alive).float().mean() < 0.3


def test_links_are_those_within_the_radius() -> None:
    near, far = task_of(radius=0.5), task_of(radius=3.0)
    step, everybody = near.reset(8, seeded()), far.reset(8, seeded())
    distance = torch.cdist(near.places, near.places)
    expected = (distance < 0.5) & ~torch.eye(10, dtype=torch.bool)
    assert torch.equal(step.links, expected)
    assert 0 < expected.float().mean() < 0.5
    assert everybody.links is not None
    assert everybody.links.sum() == 8 * 10 * 9
    columns = near.spec.obs_fields["links"].where
    assert torch.equal(step.obs[..., columns] > 0, expected)


def test_an_assignment_takes_who_fits_and_is_near() -> None:
    places = torch.tensor([[[0.0, 0.0], [0.1, 0.0], [0.9, 0.0], [0.0, 0.5]]])
    carried = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    consumers = torch.tensor([[[0.0, 0.1], [1.0, 0.0]]])
    demand = torch.tensor([[[1.0, 0.5], [1.0, 0.0]]])
    goal = assign(places, carried, consumers, demand)[0].tolist()
    assert goal[2] == 1
    assert goal[3] == 0  # alone in having what the first one needs
    assert 0 in goal[:2]
    nothing = assign(places, carried, consumers, torch.zeros_like(demand))
    assert nothing.tolist() == [[-1, -1, -1, -1]]


def test_guidance_counts_the_way_to_the_assigned_consumer() -> None:
    task = task_of()
    task.guide(True)
    task.reset(4, seeded())
    guided = task.step(towards(task, assigned(task))).measures["approach"]
    assert guided.max() <= 1 + 1e-4
    assert guided.mean() > 0.5
    task.guide(False)
    assert task.step(torch.ones(4, 10, 2)).measures["approach"].abs().sum() == 0


def test_fulfilled_demand_is_no_work() -> None:
    task = task_of(n=3, w=1)
    task.reset(2, seeded())
    task.places = task.consumers[:, :1].expand(-1, 3, -1).clone()  # all of them are at one
    task.demand = torch.full_like(task.demand, EMPTY / 2)
    step = task.step(torch.zeros(2, 3, 2))
    assert step.reward_parts is not None
    assert (step.measures["completed"] == 0).all()
    assert (step.reward_parts[..., 2] == 0).all()


@pytest.mark.parametrize(
    "address",
    [
        "allocation_1x1/radius-1/steady",
        "allocation_10/radius-1/steady",
        "allocation_10x2/radius-0/steady",
        "allocation_10x2/ring/steady",
        "allocation_10x2/radius-1/windy",
        "allocation_10x2",
    ],
)
def test_addresses_without_a_meaning_say_what_is_allowed(address: str) -> None:
    with pytest.raises(UsageError, match=f"address '{address}': allowed: allocation_NxW/radius-C/VARIANT"):
        resolve(address)


def test_demand_cannot_jump_where_there_is_one_consumer() -> None:
    with pytest.raises(UsageError, match="there is one; allowed: N from 4"):
        resolve("allocation_3x2/radius-1/jumps")
