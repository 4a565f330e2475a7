"""The whole task as an environment, held against the tasks underneath."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.baselines import make_method
from accord.baselines.multipliers.augmentation import Priced
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.baselines.training.environment import to_box
from accord.baselines.training.joint import JointConfig, JointEnvironment, has_budgets, joint_shapes
from accord.envs import make
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.task import Box, Field, Initial, Step, Task, TaskSpec

ADDRESSES = ("paper_seven/ring/average-0.27", "campus_seven/ring/hourly-0.35", "homes_17/ring/feeder-0.3")
GAMMA = 0.97


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def environment(task: Task, held: HeldMultipliers | None = None, **settings: Any) -> JointEnvironment:
    config = JointConfig(lanes=3 * task.spec.n_agents, **settings)
    return JointEnvironment(task, config, bool(task.spec.budgets), held, GAMMA, seeded())


def rewards(env: JointEnvironment, steps: int = 30) -> Tensor:
    """Rewards [T, B, N] of random actions."""
    env.reset()
    actions = torch.randn(steps, env.groups, env.agents, 2, generator=seeded(1))
    return torch.stack([env.step(action)[1].squeeze(-1) for action in actions])


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_teams_reward_is_the_sum_over_agents_in_base_loads(address: str) -> None:
    own, team = (rewards(environment(make(address), reward=kind)) for kind in ("decomposed", "team"))
    scale = make(address).spec.agent_scale
    torch.testing.assert_close(team, (own * scale).sum(-1, keepdim=True).expand_as(own))
    assert own.std(-1).min() > 0


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_agents_own_reward_is_what_it_would_earn_alone(address: str) -> None:
    task, agent = make(address), torch.tensor([2])
    held = HeldMultipliers(task.spec, "lagrangian", ConstraintConfig(price=0.8, nu=-1.5), own=False)
    together = rewards(environment(task, held))
    alone = make(address).take(agent)
    lam, nu = held.expand(3, 1)
    priced = Priced(alone, lam, nu, GAMMA)
    priced.see(alone.reset(3, seeded()))
    for t, actions in enumerate(torch.randn(30, 3, task.spec.n_agents, 2, generator=seeded(1))):
        reward = priced.advance(alone.step(to_box(actions[:, agent])))[1]
        torch.testing.assert_close(together[t][:, agent], reward)


@pytest.mark.parametrize("method", ["mappo", "qmix"])
@pytest.mark.parametrize(("policies", "networks"), [("shared", 1), ("per_type", 2), ("per_agent", 7)])
def test_agents_have_as_many_networks_as_they_are_told_to(method: str, policies: str, networks: int) -> None:
    task = make("campus_seven/ring/hourly-0.35")

    def weights(**settings: Any) -> int:
        state = make_method(method, settings).build(task, seeded()).state_dict()["last"]
        return sum(value.numel() for name, value in state.items() if name.startswith("actor.body"))

    assert weights(policies=policies) == networks * weights()


@pytest.mark.parametrize("address", [*ADDRESSES, "games/two_step"])
def test_views_are_as_wide_as_announced(address: str) -> None:
    task = make(address)
    env = environment(task)
    view = env.reset()
    n, m = task.spec.n_agents, len(task.spec.budgets)
    assert env.shapes == joint_shapes(task, JointConfig(), bool(m))
    assert view.obs.shape == (3, n, env.shapes.obs_dim)
    assert view.state.shape == (3, env.shapes.state_dim)
    assert env.shapes.state_dim == task.spec.state_dim + (m + n) * bool(m)


@pytest.mark.parametrize("drawn", [True, False])
def test_a_state_holds_the_multipliers_of_every_agent_that_has_its_own(drawn: bool) -> None:
    task = make(ADDRESSES[1])
    held = HeldMultipliers(task.spec, "lagrangian", ConstraintConfig(nu=-1.5), own=True)
    held.lam.copy_(torch.rand(held.lam.shape, generator=seeded(2)))
    env = environment(task, None if drawn else held, multipliers="own")
    state = env.reset().state
    n, m = task.spec.n_agents, len(task.spec.budgets)
    assert state.shape == (3, env.shapes.state_dim) == (3, task.spec.state_dim + n * m + n)
    lam = state[:, task.spec.state_dim : -n].sinh().unflatten(-1, (n, m))
    torch.testing.assert_close(lam, env._priced._multipliers if drawn else held.lam.expand(3, n, m))
    assert (lam.std(1) > 0).all()
    torch.testing.assert_close(state[:, -n:].sinh(), env._priced._nu)


def test_multipliers_and_the_plant_outlive_an_episode_and_prices_stay_within_one() -> None:
    task = make(ADDRESSES[0])
    held = HeldMultipliers(task.spec, "lagrangian", ConstraintConfig(price=0.5), own=False)
    env, still = environment(task, held, shaping=False), environment(make(ADDRESSES[0]), held, shaping=False)
    first = [each.reset() for each in (env, still)]
    assert torch.equal(first[0].obs, first[1].obs)
    action = torch.full((3, 7, 2), 0.2)
    before = still.step(action)
    held.lam.fill_(2.0)  # what the dual ascent does after each rollout
    after = env.step(action)
    assert torch.equal(before[0].state, after[0].state)
    assert torch.equal(before[1], after[1])
    waiting = env.state_dict()["plant"]["waiting_load"].clone()
    assert waiting.min() > 0
    shown = env.reset()
    columns = task.spec.obs_fields["waiting_load"].where
    own_peak = task.district.own_peak.float()  # type: ignore[attr-defined]
    torch.testing.assert_close(shown.obs[..., columns][..., 0], (waiting / own_peak).log1p())
    torch.testing.assert_close(shown.state[:, task.spec.state_dim], torch.full((3,), 2.0).asinh())


def test_time_limits_end_an_episode_but_not_the_future() -> None:
    env = environment(make("games/climbing"))
    assert env.reset().valid.all()  # type: ignore[union-attr]
    for t in range(27):
        view, _, ended = env.step(torch.zeros(3, 2, 1, dtype=torch.long))
        assert view.valid is not None
        assert view.valid.all() if t < 24 else not view.valid.any()
        assert t > 24 or not ended.any()


def test_an_end_of_the_task_is_an_end() -> None:
    env = environment(make("games/two_step"))
    env.reset()
    flags = [env.step(torch.zeros(3, 2, 1, dtype=torch.long))[::2] for _ in range(2)]
    assert [bool(ended.all()) for _, ended in flags] == [False, True]
    assert [bool(view.valid.all()) for view, _ in flags] == [True, False]  # type: ignore[union-attr]


class Echo(Task):
    """Keeps the actions that it is given."""

    def __init__(self) -> None:
        fields = {"one": Field(slice(0, 1), "-", "1")}
        self.spec = TaskSpec("echo", 2, fields, Box(2, -3.0, 5.0), state_dim=1, horizon=9, agent_scale=torch.ones(2))

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        self._batch = batch
        return self._show()

    def step(self, actions: Tensor) -> Step:
        self.given = actions
        return self._show()

    def state(self) -> Tensor:
        return torch.ones(self._batch, 1)

    def _show(self) -> Step:
        shape = (self._batch, 2)
        no = torch.zeros(self._batch, dtype=torch.bool)
        empty = torch.zeros(self._batch, 0)
        one, alive = torch.ones(*shape, 1), torch.ones(shape, dtype=torch.bool)
        return Step(one, torch.zeros(shape), one[..., :0], None, empty[:, None], empty, {}, no, no, alive)


def test_a_gaussians_numbers_are_scaled_to_any_box() -> None:
    task = Echo()
    env = environment(task)
    env.reset()
    env.step(torch.tensor([-9.0, -1.0]).expand(3, 2, 2))
    assert task.given.unique().tolist() == [-3.0]
    env.step(torch.tensor([0.0, 1.0]).expand(3, 2, 2))
    assert task.given[0, 0].tolist() == [1.0, 5.0]
    env.step(torch.tensor([0.5, 7.0]).expand(3, 2, 2))
    assert task.given[0, 0].tolist() == [3.0, 5.0]


def test_a_task_without_budgets_has_none_to_handle() -> None:
    spec = replace(make(ADDRESSES[0]).spec, budgets=())
    assert not has_budgets(spec, JointConfig(), "qmix")
    with pytest.raises(UsageError, match="method qmix-penalty: task 'paper_seven' has no budgets to handle"):
        has_budgets(spec, JointConfig(handling="penalty"), "qmix-penalty")


def test_guidance_falls_to_nothing_and_is_of_training_alone() -> None:
    scenario = resolve("allocation_5x1/radius-1/steady")
    config = JointConfig(guidance=0.1, lanes=10, agent_id=False)
    task = scenario.task()
    env = JointEnvironment(task, config, False, None, 0.99, torch.Generator().manual_seed(0))
    plain = JointEnvironment(
        scenario.task(), JointConfig(lanes=10, agent_id=False), False, None, 0.99, torch.Generator().manual_seed(0)
    )
    actions = torch.ones(2, 5, 2)

    def extra(fraction: float) -> float:
        env.reset(), plain.reset()
        env.anneal(fraction)
        return float((env.step(actions)[1] - plain.step(actions)[1]).abs().sum())

    first = extra(0.0)
    assert first > 0
    assert extra(0.35) > 0
    assert extra(0.7) == 0
    with pytest.raises(UsageError, match="task 'climbing' has no guidance for its agents"):
        JointEnvironment(resolve("games/climbing").task(), config, False, None, 0.99, torch.Generator())
