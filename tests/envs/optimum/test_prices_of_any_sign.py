"""Optima and units under tariffs that are negative, zero, or both signs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from accord.envs.demand_response import DemandResponse
from accord.envs.districts.district import District
from accord.envs.districts.named import NAMED, make_district
from accord.envs.optimum.linear_program import Plan, solve

HOURS = 48
CAMPUS = make_district("campus_seven")
TARIFFS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean below 0": lambda h: np.where((h > 8) & (h < 17), -0.25, 0.1),
    "mean 0": lambda h: np.where(h < 12, 0.2, -0.2),
    "all below 0": lambda h: np.where(h < 6, -0.3, -0.1),
    "three hours below 0": lambda h: np.where((h > 11) & (h < 15), -0.15, 0.2),
    "nothing": lambda h: 0.0 * h,
    "above 0": lambda h: np.where(h < 7, 0.1, 0.3),
}


def under(tariff: str) -> District:
    """The campus without PV and batteries, whose connections have no limit."""
    price = torch.from_numpy(TARIFFS[tariff](CAMPUS.hour.numpy()).astype(np.float64))
    none = torch.zeros(CAMPUS.n_agents, dtype=torch.float64)
    return replace(CAMPUS, price=price, pv_kw=none, battery_kwh=none, battery_kw=none)


@pytest.mark.parametrize("tariff", TARIFFS)
def test_without_storage_and_limits_each_kwh_is_bought_when_that_is_cheapest(tariff: str) -> None:
    district = under(tariff)
    price, demand = district.price.numpy()[:HOURS], district.demand(0, HOURS).sum(0).numpy()
    wait = district.delay_price * district.mean_price
    top = float(district.price.max())
    known = 0.0
    for hour in range(HOURS):
        later = np.arange(HOURS - hour)
        bought, owed = price[hour:] + wait * later, top + wait * (HOURS - hour)
        known += demand[hour] * min(bought.min(), owed)
    plan = solve(district, (), 0, HOURS)
    assert isinstance(plan, Plan)
    assert plan.objective == pytest.approx(known / HOURS, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("tariff", TARIFFS)
def test_the_unit_of_prices_is_above_0(tariff: str) -> None:
    district = under(tariff)
    size = np.abs(district.price.numpy()).mean()
    assert district.mean_price == pytest.approx(size if tariff != "nothing" else 1.0)
    task = DemandResponse(district, ())
    task.reset(2, torch.Generator().manual_seed(0))
    step = task.step(torch.full((2, 7, 2), 0.5))
    assert step.obs.isfinite().all()
    assert task.state().isfinite().all()


@pytest.mark.parametrize("name", [*NAMED, "synthetic_20"])
def test_where_no_price_is_below_0_the_unit_is_the_mean_to_the_bit(name: str) -> None:
    district = make_district(name)
    assert district.mean_price == float(district.price.mean())
