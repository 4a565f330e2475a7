"""The gradient through the dynamics is the one of finite differences, and one hour's best action is known."""

import copy
from collections.abc import Iterator

import pytest
import torch

from accord.baselines import make_method
from accord.baselines.base import Effort, RolloutStart, Training
from accord.baselines.consensus.analytic_policy_gradient import (
    AnalyticPolicyGradient,
    AnalyticPolicyGradientConfig,
    Climber,
    DifferentiableEnvironment,
)
from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.multipliers.augmentation import effective_prices
from accord.baselines.training.environment import Observation
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.network import Network

ADDRESS = "campus_seven/two_groups/hourly-0.35"


def climber(seed: int = 0, **settings: object) -> tuple[Climber, DifferentiableEnvironment]:
    config, generator = AnalyticPolicyGradientConfig.model_validate(settings), torch.Generator().manual_seed(seed)
    task = resolve(ADDRESS).task()
    actor = AnalyticPolicyGradient(config).actor(task, generator)
    env = DifferentiableEnvironment(task, config.draw, config.copies, config.agents, generator, config.gamma)
    found = Climber(actor, env, config, generator)
    found.begin()
    return found, env


def objective(direction: list[torch.Tensor], size: float) -> float:
    """J along a direction from the first weights, with the same draws."""
    found, env = climber(window=12)
    with torch.no_grad():
        for weight, along in zip(found.actor.parameters(), direction, strict=True):
            weight += size * along
        found.collect(env.reset(), 0.0)
    return float(found.objective)


def test_the_gradient_is_that_of_finite_differences() -> None:
    found, env = climber(window=12)
    found.collect(env.reset(), 0.0)
    found.objective.backward()
    gradient = [weight.grad for weight in found.actor.parameters()]
    size = torch.stack([part.square().sum() for part in gradient]).sum().sqrt()
    along = [part / size for part in gradient]  # the slope that way is the gradient's norm
    step = 3e-3
    slope = (objective(along, step) - objective(along, -step)) / (2 * step)
    assert slope == pytest.approx(float(size), rel=0.02)


def test_a_window_of_one_hour_learns_to_buy_in_the_cheapest_hour_alone() -> None:
    """What waits counts at the end of the window with what its best coming hour costs: so the best action is known."""
    method = make_method("apg-gossip", {"window": 1, "copies": 16, "lr": 3e-3, "gamma": 1.0, "log_std_end": -3.0})
    scenario, generator = resolve(ADDRESS), torch.Generator().manual_seed(0)
    task = scenario.task()
    training = Training(Effort(150_000, float("inf")), generator, lambda row: None)
    controller = method.train(task, scenario.network(), training)
    assert isinstance(controller, ConsensusController)
    copies = 64
    controller.reset(RolloutStart(task.spec, scenario.network(), copies, generator))
    multipliers, _ = MultiplierDraw().draw(task.spec, (copies, task.spec.n_agents), generator)
    controller.multipliers.lam = multipliers
    controller.multipliers.nu.fill_(-3.0)  # serving is worth more than any price that was drawn
    step = task.reset(copies, generator, initial="random")
    with torch.no_grad():
        buys = controller.act(step)[..., 1] > 0.5
    prices = effective_prices(task.spec, step, multipliers)
    hours = task.spec.delay_price * torch.arange(1, task.spec.ahead)
    saved = prices[..., 0] - (prices[..., 1:] + hours).amin(-1)  # by waiting
    lost = torch.where(buys == (saved < 0), 0.0, saved.abs())
    assert float(lost.sum()) < 0.05 * float(saved.abs().sum())


def test_a_step_moves_actions_no_further_than_the_trust_region() -> None:
    moved = {}
    for region in (1e-3, 1e6):
        found, env = climber(lr=0.01, region=region)
        found.collect(env.reset(), 0.0)
        before = copy.deepcopy(found.actor)
        seen = found.seen
        found.update(0.0)
        with torch.no_grad():
            change = found.actor.mode(seen, None)[0] - before.mode(seen, None)[0]
        moved[region] = float(change.square().mean().sqrt())
    assert 1e-4 < moved[1e-3] <= 1e-3
    assert moved[1e6] > 0.01


def test_gradients_go_no_further_back_than_a_window() -> None:
    found, env = climber(window=4)
    seen = found.collect(env.reset(), 0.0)
    assert seen.obs.requires_grad
    found.update(0.0)
    again: Observation = found.collect(seen, 0.0)
    found.update(0.0)  # a graph that reached into the first window would be gone
    assert again.obs.requires_grad


def test_a_window_is_no_longer_than_an_episode() -> None:
    """Starts are drawn so that an episode fits into the hours of training: a longer one would leave them."""
    states = []
    for window in (168, 1_000):
        task = resolve(ADDRESS).task()
        assert task.spec.horizon == 168
        settings = {"window": window, "copies": 1, "agents": 1, "hidden": [4]}
        method = AnalyticPolicyGradient(AnalyticPolicyGradientConfig.model_validate(settings))
        generator = torch.Generator().manual_seed(0)
        controller = method.train(task, Network.build("complete", 7), Training(Effort(400, 60.0), generator, print))
        states.append(controller.state_dict())
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_the_first_number_that_is_not_finite_ends_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    found, env = climber(window=4)
    seen, step, taken = found.collect(env.reset(), 0.0), env.step, [4]

    def spoilt(actions: torch.Tensor) -> tuple[Observation, torch.Tensor, torch.Tensor]:
        after, reward, ended = step(actions)
        taken[0] += 1
        return after, torch.where(torch.tensor(taken[0] == 7), torch.nan, reward), ended

    found.update(0.0)
    monkeypatch.setattr(env, "step", spoilt)
    with pytest.raises(UsageError, match="reward of agent 0 of group 0 at step 7 of an episode has the value nan"):
        found.collect(seen, 0.0)


def test_rewards_without_a_gradient_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found, env = climber(window=2)
    seen, step = env.reset(), env.step

    def constant(actions: torch.Tensor) -> tuple[Observation, torch.Tensor, torch.Tensor]:
        after, reward, ended = step(actions.detach())
        return after, reward.detach(), ended

    monkeypatch.setattr(env, "step", constant)
    with pytest.raises(UsageError, match="rewards of task 'campus_seven' have no gradient"):
        found.collect(seen, 0.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("address", "fault"), [("games/climbing", "not separable"), ("allocation_4x1/radius-1/steady", "not separable")]
)
def test_tasks_without_separable_dynamics_are_refused(address: str, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        make_method("apg-gossip").build(resolve(address).task(), torch.Generator())
