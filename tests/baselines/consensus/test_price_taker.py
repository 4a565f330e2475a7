"""The price-taker buys when it is cheapest, and its agents know each other's prices from neighbours alone."""

import math

import pytest
import torch

from accord.baselines import make_method
from accord.baselines.base import RolloutStart
from accord.baselines.consensus.price_taker import NAMES, PriceTakerController
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.task import Step, Task

ADDRESS = "campus_seven/two_groups/hourly-0.35"
TEMPERATURE = 0.1


def begun(address: str = ADDRESS) -> tuple[PriceTakerController, Task, Step]:
    scenario, generator = resolve(address), torch.Generator().manual_seed(0)
    task = scenario.task()
    controller = make_method("price_taker", {"temperature": TEMPERATURE}).build(task, generator)
    assert isinstance(controller, PriceTakerController)
    controller.reset(RolloutStart(task.spec, scenario.network(), 1, generator))
    return controller, task, task.reset(1, generator, start=0)


def with_tariff(step: Step, task: Task, prices: list[float]) -> Step:
    """A step whose tariff of the coming day is this one, in mean prices."""
    assert task.spec.price_field is not None
    step.obs[..., task.spec.obs_fields[task.spec.price_field].where] = torch.tensor(prices)
    return step


@pytest.mark.parametrize("now", [0.5, 1.0, 1.2])
def test_the_share_is_the_sigmoid_of_what_waiting_saves(now: float) -> None:
    controller, task, step = begun()
    actions = controller.act(with_tariff(step, task, [now, *[1.0] * 23]))
    saved = now - (1.0 + task.spec.delay_price)  # the next hour is the best to wait for
    assert actions[..., 0].eq(1).all()
    assert actions[..., 1] == pytest.approx(1 / (1 + math.exp(saved / TEMPERATURE)), rel=1e-5)


def test_an_hour_is_dearer_by_the_agents_own_multiplier_of_that_hour_alone() -> None:
    controller, task, step = begun()
    step = with_tariff(step, task, [1.0] * 24)
    calm = controller.act(step).clone()
    now = int(step.active[0, 0].nonzero())
    controller.multipliers.lam[0, 2, now] = 0.3
    dear = controller.act(step)
    saved = 0.3 - task.spec.delay_price
    assert float(dear[0, 2, 1]) == pytest.approx(1 / (1 + math.exp(saved / TEMPERATURE)), rel=1e-5)
    others = [agent for agent in range(task.spec.n_agents) if agent != 2]
    assert torch.equal(dear[:, others], calm[:, others])


def test_names_are_those_of_the_consensus_rules() -> None:
    assert set(NAMES.values()) == {
        "price_taker",
        "price_taker-primal_dual",
        "price_taker-primal_dual_symmetric",
        "price_taker-independent",
        "price_taker-broadcast",
    }


def test_other_tasks_are_refused() -> None:
    with pytest.raises(UsageError, match="'climbing' is not demand response"):
        make_method("price_taker").build(resolve("games/climbing").task(), torch.Generator())
