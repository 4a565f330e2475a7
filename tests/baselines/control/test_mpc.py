"""The planner: what it may know, and that neither likeness of buildings nor a warm start changes its plan."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.baselines.base import Controller
from accord.baselines.control import mpc
from accord.baselines.control.forecast import DAY, WEEK
from accord.baselines.control.mpc import SEED, MpcConfig, coming_hours
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin, roll_out
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.scenario import resolve_district
from accord.envs.districts.district import District

CAMPUS = "campus_seven/two_groups/hourly-0.35"
HOMES = "homes_17/ring/hourly-0.27"
NOW = 2_000


def forecast(district: District, now: int = NOW, **settings: Any) -> mpc.Coming:
    return coming_hours(district, now, MpcConfig(**settings), np.random.default_rng(SEED))


def with_another_future(district: District, now: int = NOW) -> District:
    """The same up to the present hour, and made up from then on."""
    changed = {}
    for name in ("demand_profiles", "solar_profiles"):
        values = getattr(district, name).clone()
        values[:, now + 1 :] = 7 + values[:, now + 1 :].flip(1)
        changed[name] = values
    return dataclasses.replace(district, **changed)


@pytest.mark.parametrize("now", [0, 5, 30, 166, NOW])  # a calendar's first hours have no past in it
@pytest.mark.parametrize("address", [CAMPUS, HOMES])
def test_persistence_knows_nothing_that_is_later_than_now(address: str, now: int) -> None:
    district = resolve_district(address).district
    assert not district.shift.any()  # else hours of the calendar are not hours of the profiles
    changed = with_another_future(district, now)
    here, there = (forecast(d, now, horizon=200) for d in (district, changed))
    assert np.array_equal(here.demand, there.demand)
    assert np.array_equal(here.solar, there.solar)
    perfect = [forecast(d, now, forecast="perfect") for d in (district, changed)]
    assert not np.allclose(perfect[0].demand, perfect[1].demand)


def test_persistence_is_last_weeks_demand_and_yesterdays_sun() -> None:
    district = resolve_district(HOMES).district
    coming = forecast(district, horizon=WEEK + 10)
    past = district.demand(NOW - WEEK, WEEK + 1).double().numpy()
    assert np.array_equal(coming.demand[:, 0], past[:, -1])
    assert np.array_equal(coming.demand[:, 1:WEEK], past[:, 1:-1])
    assert np.array_equal(coming.demand[:, WEEK:], past[:, [WEEK, *range(1, 10)]])
    sun = district.solar(NOW - DAY, DAY + 1).double().numpy()
    assert np.array_equal(coming.solar[:, : DAY + 1], sun[:, [DAY, *range(1, DAY + 1)]])


def test_without_a_week_behind_it_persistence_takes_the_last_day_or_the_present() -> None:
    district = resolve_district(HOMES).district
    metered = district.demand(0, DAY + 6).double().numpy()
    assert np.array_equal(forecast(district, DAY + 5, horizon=30).demand[:, 1:DAY], metered[:, 6 : DAY + 5])
    assert np.array_equal(forecast(district, 0, horizon=30).demand, np.tile(metered[:, :1], 30))


def test_a_perfect_forecast_is_what_will_be_and_a_repeated_day_is_the_first_one() -> None:
    district = resolve_district(CAMPUS).district
    perfect, repeated = (forecast(district, forecast=name) for name in ("perfect", "perfect_day_repeated"))
    assert np.array_equal(perfect.demand, district.demand(NOW, 48).double().numpy())
    assert np.array_equal(repeated.solar, np.tile(district.solar(NOW, 24).double().numpy(), 2))
    assert np.array_equal(perfect.price[:24], repeated.price[:24])
    assert np.array_equal(repeated.price[24:], repeated.price[:24])


def test_noise_is_of_what_is_not_known_and_the_same_each_time() -> None:
    district = resolve_district(CAMPUS).district
    exact, noisy, again = (forecast(district, forecast="perfect", noise=noise) for noise in (0.0, 0.2, 0.2))
    assert np.array_equal(noisy.demand, again.demand)
    assert np.array_equal(noisy.demand[:, 0], exact.demand[:, 0])
    errors = noisy.demand[:, 1:] / exact.demand[:, 1:] - 1
    assert errors.std() == pytest.approx(0.2, rel=0.15)


def imports(method: str, settings: dict[str, Any], hours: int, address: str = CAMPUS) -> Tensor:
    """Of the district, [hours] kWh."""
    scenario = resolve_district(address)
    task, network, generator = scenario.task(), scenario.network(), torch.Generator().manual_seed(0)
    controller: Controller = make_method(method, settings).build(task, generator)
    assert isinstance(task, DemandResponse)
    begin(task, controller, network, 1, generator)
    first = task.reset(1, generator, start=scenario.protocol.measured[0], horizon=hours)
    steps = roll_out(task, controller, network, first, hours)
    return torch.stack([step.usage[0].sum() for step in steps])


def test_buildings_that_are_alike_are_one_in_the_plan_and_a_warm_start_does_not_change_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = imports("mpc", {}, 60)
    monkeypatch.setattr(mpc._Basis, "start", lambda basis, solver: None)
    assert torch.allclose(imports("mpc", {}, 60), usual, atol=0.1)
    monkeypatch.setattr(mpc, "kinds", lambda district, budgets: (None, np.arange(district.n_agents)))
    assert torch.allclose(imports("mpc", {}, 60), usual, atol=0.1)


def test_a_smaller_aim_uses_less() -> None:
    assert imports("mpc", {"aim": 0.8, "carry": 0.0}, 96).sum() < imports("mpc", {"carry": 0.0}, 96).sum()


def test_lookahead_is_the_planner_that_knows_a_day() -> None:
    settings = {"carry": 0.5, "aim": 1.0}  # what was found best for persistence is not what suits foresight
    known = imports("mpc", settings | {"forecast": "perfect_day_repeated"}, 48)
    assert torch.equal(imports("lookahead", {}, 48), known)
