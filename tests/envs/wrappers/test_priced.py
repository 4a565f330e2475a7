"""Rewards that pay for the constraints: the equation by hand, what is drawn and seen, and every refusal."""

from typing import Any

import pytest
import torch

import accord.envs
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.task import Step, Task
from accord.envs.testing import check_task
from accord.envs.wrappers.parallel import ParallelTask
from accord.envs.wrappers.priced import PricedTask

HOURLY, FEEDER = "campus_seven/two_groups/hourly-0.35", "campus_seven/two_groups/feeder-0.35"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def play(task: Task, steps: int = 3) -> list[Step]:
    first = task.reset(2, seeded(0), start=5, initial="random")
    draw = seeded(1)
    return [first, *(task.step(torch.rand(2, task.spec.n_agents, 2, generator=draw)) for _ in range(steps))]


def test_each_agent_pays_for_its_use_above_its_share_of_the_budgets_that_count_it() -> None:
    prices = {"substation": 0.25, "feeder_0": 2.0, "shortfall": 3.0}
    plain, priced = accord.envs.make(FEEDER), accord.envs.make(FEEDER, price=prices)
    spec = plain.spec
    for one, other in zip(play(plain)[1:], play(priced)[1:], strict=True):
        for i in range(spec.n_agents):
            paid = 3.0 * one.shortfall[:, i]  # type: ignore[index]
            for budget in spec.budgets:
                members = torch.ones(7, dtype=torch.bool) if budget.agents is None else budget.agents
                if members[i]:
                    excess = one.usage[:, i, 0] - budget.limit / int(members.sum())
                    paid = paid + prices.get(budget.name, 0.0) * excess
            expected = one.reward[:, i] - spec.price_scale * paid
            assert torch.allclose(other.reward[:, i], expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(one.obs, other.obs)


def test_only_the_hour_that_counts_is_paid() -> None:
    plain, priced = accord.envs.make(HOURLY), accord.envs.make(HOURLY, price={"hour_05": 1.0})
    one, other = play(plain, 2), play(priced, 2)
    excess = one[1].usage[..., 0] - plain.spec.budgets[5].limit / 7
    assert torch.allclose(other[1].reward, one[1].reward - plain.spec.price_scale * excess, rtol=1e-5, atol=1e-5)
    assert torch.equal(other[2].reward, one[2].reward)  # hour 6


def test_a_price_of_nothing_leaves_every_number_as_it_is() -> None:
    for price in (0, {}):
        pairs = zip(play(accord.envs.make(HOURLY)), play(accord.envs.make(HOURLY, price=price)), strict=True)
        for one, other in pairs:
            assert torch.equal(one.reward, other.reward)
            assert torch.equal(one.obs, other.obs)


def test_a_number_is_the_price_of_every_budget() -> None:
    names = [budget.name for budget in accord.envs.make(HOURLY).spec.budgets]
    one, other = (play(accord.envs.make(HOURLY, price=p)) for p in (0.5, dict.fromkeys(names, 0.5)))
    assert torch.equal(one[-1].reward, other[-1].reward)


def test_drawn_prices_are_those_of_the_augmented_methods_and_are_seen_and_paid() -> None:
    plain, drawn = accord.envs.make(HOURLY), accord.envs.make(HOURLY, price="drawn")
    lam, nu = MultiplierDraw().draw(plain.spec, (4, 7), seeded(0))
    step = drawn.reset(4, seeded(0))
    fields = drawn.spec.obs_fields
    assert torch.equal(step.obs[..., fields["budget_prices"].where], lam[:, :1].expand(4, 7, 24))
    assert torch.equal(step.obs[..., fields["shortfall_price"].where], -nu[..., None])
    assert torch.equal(drawn.state()[:, -31:], torch.cat([lam[:, 0], -nu], -1))
    assert drawn.state().shape[1] == drawn.spec.state_dim == plain.spec.state_dim + 31
    assert not torch.equal(drawn.reset(4, seeded(1)).obs[..., -25:], step.obs[..., -25:])
    step = drawn.reset(1, seeded(2), start=17)
    prices = step.obs[0, :, -25:]
    plain.reset(1, seeded(2), start=17)
    one, other = plain.step(torch.ones(1, 7, 2)), drawn.step(torch.ones(1, 7, 2))
    excess = one.usage[0, :, 0] - plain.spec.budgets[17].limit / 7
    paid = prices[:, 17] * excess + prices[:, 24] * one.shortfall[0]  # type: ignore[index]
    assert torch.allclose(other.reward[0], one.reward[0] - plain.spec.price_scale * paid, rtol=1e-4, atol=1e-5)


def test_a_trained_policy_is_charged_what_its_dual_updates_say() -> None:
    task = accord.envs.make("homes_17/ring/average-0.2", price="drawn")
    env = ParallelTask(task)
    env.reset(seed=0)
    assert isinstance(task, PricedTask)
    task.charge({"average": 1.5, "shortfall": 3.0})
    actions = {agent: [1.0, 0.5] for agent in env.agents}
    for seen in (env.step(actions)[0], env.reset(seed=1)[0]):
        assert seen["agent_4"][-2:].tolist() == [1.5, 3.0]
        assert env.state()[-18:].tolist() == [1.5, *[3.0] * 17]
    fixed = ParallelTask(accord.envs.make("homes_17/ring/average-0.2", price={"average": 1.5, "shortfall": 3.0}))
    fixed.reset(seed=1)
    assert env.step(actions)[1] == fixed.step(actions)[1]


@pytest.mark.parametrize("price", [0.5, "drawn"])
def test_priced_tasks_keep_the_contract(price: Any) -> None:
    check_task(lambda: accord.envs.make(FEEDER, price=price, discrete=3))


def test_agents_taken_one_by_one_pay_the_same() -> None:
    whole = accord.envs.make(HOURLY, price=0.7)
    some = whole.take(torch.tensor([2, 5]))
    actions = torch.rand(1, 7, 2, generator=seeded(0))
    whole.reset(1, seeded(0), start=3)
    some.reset(1, seeded(0), start=3)
    reward = whole.step(actions).reward[:, [2, 5]]
    assert torch.allclose(some.step(actions[:, [2, 5]]).reward, reward, rtol=1e-5)


WORDS = "allowed: a number from 0 to 1000000000, 'drawn', or numbers by name of average or shortfall"


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("observed", f"price 'observed'; {WORDS}"),
        (-1, f"price -1; {WORDS}"),
        (True, f"price True; {WORDS}"),
        (float("inf"), f"price inf; {WORDS}"),
        ([0.5], rf"price \[0.5\]; {WORDS}"),
        ({"hourly": 1.0}, f"price of 'hourly': unknown name; {WORDS}"),
        ({"average": -1.0}, f"price of 'average' is -1.0; {WORDS}, which alone may be below 0"),
        ({"average": "1"}, f"price of 'average' is '1'; {WORDS}"),
        ({"shortfall": float("nan")}, f"price of 'shortfall' is nan; {WORDS}"),
    ],
)
def test_a_price_without_a_meaning_is_named(price: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        accord.envs.parallel_env("campus_seven/two_groups/average-0.27", price=price)
    assert "\n" not in str(caught.value)


def test_a_task_without_budgets_has_nothing_to_price() -> None:
    with pytest.raises(UsageError, match="price: task 'climbing' has no budgets; leave price out"):
        accord.envs.parallel_env("games/climbing", price=0.5)
