"""Accord's demand response against CityLearn's own simulator: `make test-citylearn`."""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import pytest
import torch

from accord.baselines import make_method
from accord.baselines.rollout import begin, roll_out
from accord.benchmark.evaluation.trajectory import Trajectory
from accord.envs.catalogue import families, resolve, resolve_district
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError
from accord.envs.task import Step
from accord.envs.testing import check_scenario, check_task
from accord.envs.third_party.citylearn import KINDS, CityLearnDistrict

HOURS, START = 14 * 24, 1000
CAMPUS, HOMES = "campus_seven/two_groups/hourly-0.35", "homes_17/ring/hourly-0.27"
NOON, MIDNIGHT = START + 20, START + 8  # hours 12 and 0 of the day
AGREE = {"rtol": 1e-5, "atol": 1e-4}  # CityLearn keeps float32, of up to some 100 kWh


def with_sun_below_battery_power(scenario: DistrictScenario) -> DistrictScenario:
    """The district with PV so small that the battery's limit on charging never binds."""
    district = scenario.district
    most = district.solar(0, district.hours).amax(1)
    return replace(
        scenario, district=replace(district, pv_kw=district.pv_kw * (district.battery_kw / most).clamp(max=1))
    )


def task_of(scenario: DistrictScenario, kind: str) -> CityLearnDistrict:
    return CityLearnDistrict(scenario.district, scenario.budgets(), KINDS[kind])


def side_by_side(model: DemandResponse, simulator: CityLearnDistrict, *, together: bool) -> Iterator[tuple[Step, Step]]:
    """The same random actions in both; `together`, or else batteries serve no load while the sun shines."""
    generator = torch.Generator().manual_seed(0)
    one, other = (task.reset(1, generator, start=START, horizon=HOURS) for task in (model, simulator))
    for hour in range(START, START + HOURS):
        actions = torch.rand(1, model.spec.n_agents, 2, generator=generator)
        if not together:
            actions[0, model.district.solar(hour, 1)[:, 0] > 0, 0] = 0.0
        torch.testing.assert_close(one.obs, other.obs, **AGREE)
        one, other = model.step(actions), simulator.step(actions)
        yield one, other


@pytest.mark.parametrize("address", [CAMPUS, HOMES])
def test_two_weeks_are_the_same_in_both_where_loss_curves_are_flat(address: str) -> None:
    scenario = with_sun_below_battery_power(resolve_district(address))
    model, simulator = scenario.task(), task_of(scenario, "citylearn_flat")
    moved = torch.zeros(2)
    for one, other in side_by_side(model, simulator, together=False):
        net = one.measures["import_kwh"] - one.measures["curtailed"]
        torch.testing.assert_close(net, other.measures["net_kwh"], **AGREE)
        for name in one.measures:
            torch.testing.assert_close(one.measures[name], other.measures[name], **AGREE)
        for name in ("reward", "usage", "shortfall", "counted", "active"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), **AGREE)
        moved += torch.stack([one.measures["stored"].sum(), one.measures["battery_kwh"].sum()])
    assert (moved > 100 * model.spec.n_agents / 7).all()  # the batteries were used both ways


def test_solar_of_the_campus_passes_the_battery_and_that_of_the_homes_does_not() -> None:
    campus, homes = (resolve_district(address) for address in (CAMPUS, HOMES))
    assert with_sun_below_battery_power(homes).district.digest == homes.district.digest
    assert with_sun_below_battery_power(campus).district.digest != campus.district.digest


def after_one_hour(kind: str, sun: float, soc: float, waiting: float, actions: tuple[float, float], hour: int) -> Step:
    """One building of the campus with so much sun and load; the demand of the hour is part of the load."""
    scenario = resolve_district(CAMPUS)
    district = scenario.district.take(torch.tensor([0]))
    pv = torch.tensor([sun / float(district.solar(hour, 1) / district.pv_kw) if sun else 0.0], dtype=torch.float64)
    owed = torch.tensor([[waiting - float(district.demand(hour, 1))]])
    task = CityLearnDistrict(replace(district, pv_kw=pv), (), KINDS[kind])
    initial = {"waiting_load": owed, "soc": torch.tensor([[soc]])}
    task.reset(1, torch.Generator(), start=hour, horizon=24, initial=initial)
    return task.step(torch.tensor([[actions]]))


def measured(step: Step, *names: str) -> list[float]:
    return [float(step.measures[name]) for name in names]


def test_power_is_limited_before_losses_where_accord_limits_charging_after_them() -> None:
    """75 kW and η = .9 each way: of 90 kWh of sun CityLearn stores .9·75, Accord's model min(.9·90, 75)."""
    step = after_one_hour("citylearn_flat", 90.0, 0.0, 50.0, (0.0, 0.0), NOON)
    assert measured(step, "stored", "curtailed") == pytest.approx([0.9 * 75, 15.0], rel=1e-5)
    for one, other in side_by_side(
        resolve(CAMPUS).task(), task_of(resolve_district(CAMPUS), "citylearn_flat"), together=False
    ):
        room = 140.0 - (one.measures["soc"] - one.measures["stored"])
        if bool((one.measures["solar"] > 75).any()):
            both = [(0.9 * one.measures["solar"]).clamp(max=75), 0.9 * other.measures["solar"].clamp(max=75)]
            torch.testing.assert_close(one.measures["stored"], torch.minimum(both[0], room), **AGREE)
            torch.testing.assert_close(other.measures["stored"], torch.minimum(both[1], room), **AGREE)
            return
    pytest.fail("no hour has that much sun")


def test_the_sun_serves_a_load_without_passing_through_the_battery() -> None:
    """Accord's model charges with 40 kWh and serves 30 kWh of the load in the same hour, at a loss each way."""
    step = after_one_hour("citylearn_flat", 40.0, 0.0, 60.0, (0.5, 0.0), NOON)
    assert measured(step, "battery_kwh", "stored", "soc") == pytest.approx([30.0, 9.0, 9.0], rel=1e-5)


def test_curves_are_of_a_whole_cycle_and_power_falls_where_the_battery_is_full() -> None:
    """60 kWh is .8 of the power, where a cycle keeps .9, each way √.9; a full battery gives a fifth of its power."""
    charging = after_one_hour("citylearn", 60.0, 70.0, 50.0, (0.0, 0.0), NOON)
    assert measured(charging, "stored") == pytest.approx([60 * sqrt(0.9)], rel=1e-5)
    giving = after_one_hour("citylearn", 0.0, 140.0, 50.0, (1.0, 0.0), MIDNIGHT)
    assert measured(giving, "battery_kwh", "soc") == pytest.approx([15.0, 140 - 15 / sqrt(0.83)], rel=1e-5)


def test_solar_that_is_left_over_serves_what_is_bought_unless_it_is_curtailed() -> None:
    for kind, imported, lost in (("citylearn", 0.0, 10.0), ("citylearn_curtailed", 50.0, 60.0)):
        step = after_one_hour(kind, 60.0, 140.0, 50.0, (0.0, 1.0), NOON)
        assert measured(step, "net_kwh") == pytest.approx([-10.0], rel=1e-5)
        assert measured(step, "import_kwh", "curtailed") == pytest.approx([imported, lost], rel=1e-5, abs=1e-5)
        assert float(step.usage) == measured(step, "import_kwh")[0]
        assert float(step.reward) == pytest.approx(-float(step.measures["price"]) * imported, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("address", ["citylearn/campus_seven/two_groups/hourly-0.35", f"citylearn/{HOMES}"])
def test_costs_and_budgets_are_those_of_the_simulators_net_consumption(address: str) -> None:
    scenario = resolve(address)
    task, network, generator = scenario.task(), scenario.network(), torch.Generator().manual_seed(0)
    controller, hours = make_method("random").build(task, generator), 72
    begin(task, controller, network, 1, generator)
    first = task.reset(1, generator, start=START, horizon=hours)
    run, waiting, shortfall = Trajectory(task.spec, hours), 0.0, torch.zeros(task.spec.n_agents)
    for step in roll_out(task, controller, network, first, hours):
        run.add(step)
        waiting += float(step.measures["waiting_load"].sum())
        shortfall += step.shortfall[0]
        assert bool((step.measures["import_kwh"] <= scenario.model.district.connection_kwh + 1e-4).all())
    assert bool(step.truncated.all())
    buildings = task._simulators[0].env.buildings
    net = torch.stack([torch.from_numpy(b.net_electricity_consumption.copy()) for b in buildings]).double()
    paid = torch.stack([torch.from_numpy(b.net_electricity_consumption_cost.copy()) for b in buildings]).double()
    assert net.shape == (task.spec.n_agents, hours)
    torch.testing.assert_close(run.sums["bill"], paid.sum(1), rtol=1e-5, atol=1e-5)
    held = task.spec.delay_price * task.spec.price_scale * waiting
    assert float(run.sums["reward"].sum()) == pytest.approx(-float(paid.sum()) - held, rel=1e-5)
    imported, clock = net.clamp_min(0.0).sum(0), scenario.model.district.hour[START : START + hours]
    for k, budget in enumerate(task.spec.budgets):
        used = imported[budget.hours[clock]].mean()
        assert float(run.used[k] / run.counted[k]) == pytest.approx(float(used), rel=1e-5)
        assert budget.limit == resolve(address.partition("/")[2]).budgets()[k].limit
    torch.testing.assert_close(shortfall, step.measures["waiting_load"][0], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("address", families()["citylearn"].examples)
def test_the_family_keeps_the_contract(address: str) -> None:
    check_scenario(address)


def test_buildings_without_pv_or_battery_keep_the_contract() -> None:
    scenario = resolve("citylearn/synthetic_8/ring/average-0.5")
    assert 0 in scenario.model.district.battery_kwh
    check_task(scenario.task)


def test_the_hours_of_the_simulator_end() -> None:
    task = resolve("citylearn/paper_seven/ring/average-0.27").task()
    task.reset(1, torch.Generator(), start=2927, horizon=2)  # the second is the calendar's first
    actions = torch.zeros(1, 7, 2)
    assert [bool(task.step(actions).truncated) for _ in range(2)] == [False, True]
    with pytest.raises(UsageError, match="the simulator's 2 hours are over; call reset"):
        task.step(actions)
