"""Prices that a training finds: how they climb, what is drawn around them, and that samples of agents tell enough."""

import pytest
import torch

from accord.baselines.base import RolloutStart
from accord.baselines.multipliers.found import AscentConfig, FoundPrices
from accord.baselines.registry import make_method
from accord.baselines.training.single_agents import AugmentedEnvironment
from accord.envs import make
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.network import Network

ADDRESS = "campus_seven/two_groups/hourly-0.35"


def found(**settings: float) -> FoundPrices:
    return FoundPrices(make(ADDRESS).spec, AscentConfig(**settings), MultiplierDraw(noise=0.0))


def test_a_step_of_the_ascent_is_the_relative_violation_of_a_day_after_the_first() -> None:
    task, generator, prices = make(ADDRESS), torch.Generator().manual_seed(0), found(lr=0.2, tighten=0.05)
    spec, expected = task.spec, torch.zeros(24)
    prices.draw(spec, (3, 7), generator)
    task.reset(3, generator, start=0)
    for day in range(3):
        used = torch.zeros(24)
        for _ in range(24):
            step = task.step(torch.rand(3, 7, 2, generator=generator))
            prices.add(spec, step)
            used += (step.counted[:, None] * step.usage).sum((0, 1))
        if day > 0:  # each hour of the day counts once in three copies
            violation = used / (3 * spec.limits) - 0.95
            expected = (expected + 0.2 * violation.clamp(-1, 1)).clamp_min(0.0)
        torch.testing.assert_close(prices.lam, expected)
    assert prices.lam.max() > 0


def test_single_agents_tell_what_the_district_uses() -> None:
    """Serving at once: the excess of drawn agents is that of all of them over the training hours."""
    task, generator = make(ADDRESS), torch.Generator().manual_seed(0)
    prices = found(lr=0.1, clip=10.0, lambda_max=100.0, tighten=0.0)
    env = AugmentedEnvironment(task, prices, 64, 64, generator)
    prices.lam.fill_(10.0)
    env.reset()
    for _ in range(env.horizon):
        env.step(torch.tensor([-1.0, 1.0]).expand(env.groups, 1, 2))
    found_mean = (prices.lam - 10.0) / 0.1 / (env.horizon // 24 - 1)
    first, last = task.district.training
    demand = task.district.demand(first, last - first).sum(0).reshape(-1, 24).mean(0)  # of each hour of the day
    assert torch.equal(task.district.hour[:24], torch.arange(24))
    by_budget = torch.stack([demand[budget.hours].mean() for budget in task.spec.budgets])
    violation = by_budget / task.spec.limits - 1
    torch.testing.assert_close(found_mean, violation.float(), rtol=0.1, atol=0.05)


def test_what_is_drawn_lies_around_what_was_found() -> None:
    prices, generator = found(spread=0.25), torch.Generator().manual_seed(0)
    prices.lam.copy_(torch.linspace(0.0, 2.3, 24))
    spec = make(ADDRESS).spec
    lam, nu = prices.draw(spec, (500, 2), generator)
    level = (lam / prices.lam)[..., 1:]
    assert torch.allclose(level, level[..., :1], atol=1e-5)
    assert float(level.min()) == pytest.approx(0.75, abs=0.01)
    assert float(level.max()) == pytest.approx(1.25, abs=0.01)
    assert nu.shape == (500, 2)
    assert float(nu.min()) < -3.9 < -0.1 < float(nu.max())


def test_multipliers_start_in_execution_where_training_left_them() -> None:
    task, generator = make(ADDRESS), torch.Generator().manual_seed(0)
    controller = make_method("apg-moving-gossip").build(task, generator)
    state = controller.state_dict()
    controller.load_state_dict(state | {"prices": state["prices"] | {"lam": torch.linspace(0.0, 1.0, 24)}})
    controller.reset(RolloutStart(task.spec, Network.build("ring", 7), 2, generator))
    lam = controller.diagnostics()["multipliers"]
    assert torch.equal(lam, torch.linspace(0.0, 1.0, 24).expand(2, 7, 24))
    other = make_method("apg-moving-gossip").build(make("paper_seven/ring/average-0.27"), generator)
    with pytest.raises(UsageError, match="prices of 24 budgets do not fit a task with 1"):
        other.load_state_dict(state)


def test_a_policy_at_found_prices_belongs_to_its_budgets() -> None:
    drawn, moving = make_method("consensus-gossip", tuned=False), make_method("consensus-moving-gossip", tuned=False)
    assert (drawn.training_scope, moving.training_scope) == ("population", "scenario")
    assert {"prices", "ascent"} == moving.config.training_key().keys() - drawn.config.training_key().keys()
    wider = make_method("consensus-moving-gossip", {"ascent": {"spread": 0.1}}, tuned=False)
    assert wider.config.training_key() != moving.config.training_key()
