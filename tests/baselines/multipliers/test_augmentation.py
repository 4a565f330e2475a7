"""State augmentation: what the policy sees, what it is rewarded for, how multipliers are drawn."""

import pytest
import torch

from accord.baselines.multipliers.augmentation import (
    Priced,
    augment,
    augmented_dim,
    compress,
    effective_prices,
    load_prices,
    waiting_value,
)
from accord.baselines.training.single_agents import AugmentedEnvironment
from accord.envs import make
from accord.envs.multipliers import MultiplierDraw, lagrangian
from accord.envs.task import Task


def task_at(address: str = "campus_seven/ring/hourly-0.35", start: int = 5):
    task = make(address)
    return task, task.reset(1, torch.Generator().manual_seed(0), start=start)


def test_effective_prices_are_the_tariff_plus_the_multiplier_of_each_hour_rolled_to_now() -> None:
    task, step = task_at(start=5)
    lam = torch.arange(24.0).expand(1, 7, 24)
    tariff = task.district.price[5:29].float() / task.spec.price_scale
    expected = tariff + (5 + torch.arange(24)) % 24
    prices = effective_prices(task.spec, step, lam)
    assert prices[0, 3].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert augment(task.spec, step, prices, torch.zeros(1, 7)).shape == (1, 7, augmented_dim(task.spec))


def test_load_price_is_the_cheapest_hour_with_its_wait_paid() -> None:
    task, _ = task_at()
    prices = torch.full((1, 1, 24), 2.0)
    prices[..., 10] = 1.0
    due = load_prices(task.spec, prices)[0, 0]
    w = task.spec.delay_price
    assert due[:11].tolist() == pytest.approx([1.0 + w * (10 - k) for k in range(11)])
    # After the cheap hour it comes again a day later.
    assert due[12].item() == pytest.approx(min(2.0, 1.0 + w * 22))


def test_waiting_value_is_the_best_discounted_service() -> None:
    task, _ = task_at()
    w, gamma = task.spec.delay_price, 0.9
    prices = torch.full((1, 1, 24), 2.0)
    prices[..., 2] = 0.5
    options = [gamma**k * (3.0 - float(prices[0, 0, k])) - w * sum(gamma**j for j in range(k)) for k in range(24)]
    value = waiting_value(task.spec, prices, torch.full((1, 1), -3.0), gamma)
    assert value.item() == pytest.approx(max(options), rel=1e-5)
    never = waiting_value(task.spec, prices, torch.full((1, 1), 50.0), gamma)
    assert never.item() == pytest.approx(-w / (1 - gamma), rel=1e-5)


def test_lagrangian_charges_only_the_budgets_that_count_now() -> None:
    task, _ = task_at(start=5)
    step = task.step(torch.ones(1, 7, 2))
    lam = torch.zeros(1, 7, 24)
    lam[..., 6] = 9.0
    free = lagrangian(task.spec, step, lam, torch.zeros(1, 7))
    assert torch.equal(free, step.reward)
    lam[..., 5] = 2.0
    charged = lagrangian(task.spec, step, lam, torch.full((1, 7), -1.0))
    expected = step.reward - task.spec.price_scale * (2.0 * step.usage[..., 0] + step.shortfall)
    assert torch.allclose(charged, expected)


def test_an_agent_pays_only_for_the_budgets_that_count_it() -> None:
    task, step = task_at("paper_seven/ring/feeder-0.3", start=0)
    lam = torch.zeros(1, 7, 3)
    lam[..., 2] = 5.0  # the feeder of agents 4 to 6
    tariff = float(task.district.price[0] / task.spec.price_scale)
    assert effective_prices(task.spec, step, lam)[0, :, 0].tolist() == pytest.approx([tariff] * 4 + [tariff + 5.0] * 3)
    step = task.step(torch.ones(1, 7, 2))
    paid = (step.reward - lagrangian(task.spec, step, lam, torch.zeros(1, 7)))[0]
    assert paid[:4].tolist() == [0.0] * 4
    assert (paid[4:] > 0).all()


def test_budgets_of_the_same_hours_get_levels_of_their_own() -> None:
    spec = make("paper_seven/ring/feeder-0.3").spec
    lam, _ = MultiplierDraw(zero_share=0.0).draw(spec, (4000,), torch.Generator().manual_seed(0))
    assert torch.corrcoef(lam.T).fill_diagonal_(0).abs().max() < 0.1


def test_shaping_changes_no_difference_between_two_plans() -> None:
    # Two action sequences from one start: discounted sums differ by the same amount with and without
    # shaping, once what the shaping still owes for the last state is added.
    def discounted(shaped: bool, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = torch.Generator().manual_seed(7)
        task = make("campus_seven/ring/hourly-0.35")
        gamma = 0.97
        env = AugmentedEnvironment(task, MultiplierDraw(), 2, 3, generator, gamma if shaped else None)
        env.reset()
        actions = torch.Generator().manual_seed(seed)
        total = torch.zeros(6)
        for t in range(30):
            _, reward, _ = env.step(2 * torch.rand(6, 1, 2, generator=actions) - 1)
            total += gamma**t * reward.flatten()
        return total, gamma**30 * env._priced._potential.flatten() if shaped else torch.zeros(6)

    plain = discounted(False, 1)[0] - discounted(False, 2)[0]
    (first, owed_first), (second, owed_second) = discounted(True, 1), discounted(True, 2)
    shaped = (first - owed_first) - (second - owed_second)
    assert torch.allclose(plain, shaped, atol=1e-4)
    assert plain.abs().max() > 1e-2


def test_several_multipliers_are_drawn_as_smooth_profiles_and_some_empty() -> None:
    spec = make("campus_seven/ring/hourly-0.35").spec
    lam, nu = MultiplierDraw(noise=0.0, zero_share=0.2).draw(spec, (4000,), torch.Generator().manual_seed(0))
    assert lam.shape == (4000, 24)
    assert (lam >= 0).all()
    empty = (lam == 0).all(-1).float().mean()
    assert empty == pytest.approx(0.2, abs=0.03)
    step = (lam - lam.roll(1, -1)).abs().amax(-1)
    assert (step <= 0.27 * lam.amax(-1) + 1e-6).all()
    assert -4.0 <= nu.min() <= nu.max() <= 0.0


def test_agents_of_one_type_are_drawn_from_that_type() -> None:
    task = make("paper_seven/ring/average-0.3")
    doubles = task.take(torch.tensor([2, 5]))
    drawn = doubles.sample_agents(50, torch.Generator().manual_seed(0))
    assert drawn.spec.agent_types.unique().tolist() == [1]
    assert drawn.spec.agent_scale.unique().tolist() == [2.0]


def test_prices_are_compressed_to_their_inverse_hyperbolic_sine() -> None:
    x = torch.cat([-torch.logspace(-4, 3, 50), torch.zeros(1), torch.logspace(-4, 3, 50)])
    torch.testing.assert_close(compress(x), x.asinh(), rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("address", ["campus_seven/ring/hourly-0.35", "homes_17/ring/feeder-0.3"])
def test_prices_worked_out_ahead_are_those_of_each_step(address: str) -> None:
    task, generator = make(address), torch.Generator().manual_seed(0)
    n = task.spec.n_agents
    lam, nu = MultiplierDraw().draw(task.spec, (2, n), generator)
    ahead = Priced(task, lam, nu, 0.97, by_size=True)
    step = task.reset(2, generator, initial="random")
    obs = ahead.see(step)
    for _ in range(2 * task.spec.ahead + 3):  # beyond what is looked ahead at once
        one = Priced(_Unforeseen(task), lam, nu, 0.97, by_size=True)  # type: ignore[arg-type]
        torch.testing.assert_close(obs, one.see(step))
        step = task.step(torch.rand(2, n, 2, generator=generator))
        obs, reward = ahead.advance(step)
        torch.testing.assert_close(reward, one.advance(step)[1])


class _Unforeseen:
    """A task whose prices only observations tell."""

    def __init__(self, task: Task) -> None:
        self.spec = task.spec

    def coming_prices(self, ahead: int) -> None:
        return None
