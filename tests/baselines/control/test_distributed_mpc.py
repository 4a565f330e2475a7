"""Plans that are negotiated: the central one's optimum in the limit, nobody's numbers but through the network."""

from typing import Any

import numpy as np
import pytest
import torch

from accord.baselines.control import distributed_mpc
from accord.baselines.control.distributed_mpc import Meter, Negotiators, _within
from accord.baselines.control.forecast import DAY, WEEK
from accord.baselines.control.mpc import OVERDRAFT_PRICE
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin, roll_out
from accord.envs.demand_response.scenario import resolve_district
from accord.envs.network import Network

CAMPUS = "campus_seven/two_groups/hourly-0.35"


def rolled_out(hours: int, **settings: Any) -> tuple[Negotiators, Network, float, float]:
    """The planners, their network, what was imported and how large the largest price became."""
    scenario = resolve_district(CAMPUS)
    task, network, generator = scenario.task(), scenario.network(), torch.Generator().manual_seed(0)
    controller = make_method("distributed_mpc", settings).build(task, generator)
    assert isinstance(controller, Negotiators)
    begin(task, controller, network, 1, generator)
    first = task.reset(1, generator, start=744, horizon=hours)
    imported = sum(float(step.usage.sum()) for step in roll_out(task, controller, network, first, hours))
    return controller, network, imported, float(controller.diagnostics()["multipliers"].max())


def test_many_rounds_agree_on_what_is_used_and_on_prices() -> None:
    controller, _, _, price = rolled_out(2, rounds=60, gossip=8, horizon=24, carry=2.97, aim=0.984, rho=0.01)
    mean = controller._use[0].mean(0)
    assert np.allclose(controller._mean[0], mean, atol=0.02 * mean.max())
    assert np.ptp(controller._price[0], axis=0).max() < 0.05
    assert 0 < price < OVERDRAFT_PRICE
    room = controller._config.aim * controller._part() + controller._account[0].mean(0)
    assert (mean <= room * 1.02 + 0.5).all()


@pytest.mark.parametrize("negotiation", ["admm", "dual"])
def test_messages_are_counted(negotiation: str) -> None:
    _, network, imported, _ = rolled_out(3, negotiation=negotiation, rounds=2, gossip=3, horizon=24)
    assert imported > 0
    links, numbers = 2 * len(network.edges), 3 * 24  # use, account and price of each budget
    assert network.messages == 3 * 2 * 3 * links
    assert network.bytes == network.messages * numbers * 8
    _, exact, _, _ = rolled_out(3, negotiation=negotiation, rounds=2, average="exact", horizon=24)
    assert exact.messages == 3 * 2 * 2 * 7


def test_who_asks_a_central_node_claims_nothing() -> None:
    district = resolve_district(CAMPUS).district
    for average, claim in (("gossip", True), ("exact", False)):
        config = distributed_mpc.DistributedMpcConfig.model_validate({"average": average})
        assert Negotiators(config, district).decentralised is claim


def test_an_overdraft_costs_its_price_and_no_more() -> None:
    rho, room = 0.1, 5.0
    grid = np.linspace(-20.0, 400.0, 4_200_001)
    for wanted in (2.0, 60.0, 300.0):
        cost = OVERDRAFT_PRICE * np.maximum(0.0, grid - room) + rho / 2 * (grid - wanted) ** 2
        assert float(_within(np.array(wanted), np.array(room), rho)) == pytest.approx(grid[cost.argmin()], abs=1e-3)


def test_a_meter_expects_last_weeks_demand_and_yesterdays_sun() -> None:
    meter, hours = Meter((1,)), 50
    past = np.arange(1.0, 301.0)
    for value in past[:3]:
        meter.read(np.array([value]), np.array([10 * value]))
    assert meter.coming(np.ones((1, DAY)), 4).demand.tolist() == [[3.0] * 4]  # no day is known
    for value in past[3:]:
        meter.read(np.array([value]), np.array([10 * value]))
    coming = meter.coming(np.arange(float(DAY))[None], hours)
    assert coming.demand[0, 0] == 300.0
    assert coming.demand[0, 1:].tolist() == [300.0 - WEEK + ahead for ahead in range(1, hours)]
    assert coming.solar[0, 1 : DAY + 1].tolist() == [10 * (300.0 - DAY + ahead) for ahead in range(1, DAY + 1)]
    assert coming.solar[0, DAY + 1] == coming.solar[0, 1]
    assert coming.price[0].tolist() == [float(ahead % DAY) for ahead in range(hours)]
