import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.district import District
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError
from accord.envs.optimum.linear_program import Certificate, Plan, least_use, smallest_scale, solve
from accord.envs.optimum.sparse_program import budget_rows, distinct, minimise
from accord.envs.task import Budget

PAPER = make_district("paper_seven")
CAMPUS = make_district("campus_seven")
HOMES = make_district("homes_17")
# Design figures of the objective are sums over hours in base loads times mean prices.
UNIT = PAPER.base_load * PAPER.mean_price
CHEAP_HOURS = [0, 1, 2, 3, 4, 5, 20, 21, 22, 23]
DAYS = 120


def budgets(district: District, name: str, level: float | None = None) -> tuple[Budget, ...]:
    parsed = parse_budget(name)
    return budgets_of(district, parsed, parsed.level if level is None else level)


def planned(district: District, name: str | None, start: int, hours: int) -> Plan:
    plan = solve(district, budgets(district, name) if name else (), start, hours)
    assert isinstance(plan, Plan)
    return plan


def least_by_building(
    district: District,
    start: int,
    hours: int,
    import_price: NDArray[np.float64],
    debt_price: NDArray[np.float64],
    delay_price: float = 0.0,
) -> float:
    """Σ over buildings of their least cost alone, in cumulative sums instead of states.

    Args:
        district: N buildings.
        start: First hour.
        hours: T.
        import_price: [N, T] per kWh imported.
        debt_price: [N] per kWh owed at the end.
        delay_price: Per kWh waiting after an hour.
    """
    demand, solar = district.demand(start, hours).numpy(), district.solar(start, hours).numpy()
    sums = np.tril(np.ones((hours, hours)))
    earlier, one, none = sums - np.eye(hours), np.eye(hours), np.zeros((hours, hours))
    total = 0.0
    for i in range(district.n_agents):
        eta, power = float(district.efficiency[i]), float(district.battery_kw[i])
        connection = float(district.connection_kwh[i])
        arrived = demand[i].cumsum()
        rows = sparse.csr_array(
            np.block([[sums, sums, none], [none, sums / eta, -sums], [none, -earlier / eta, earlier + one]])
        )
        bounds = np.concatenate([arrived, np.zeros(hours), np.full(hours, float(district.battery_kwh[i]))])
        waiting_price = np.full(hours, delay_price)
        waiting_price[-1] += debt_price[i]
        saved = waiting_price @ sums  # per kWh served in each hour, from whatever source
        highest = np.concatenate([np.full(hours, connection), np.full(hours, power), np.minimum(eta * solar[i], power)])
        found = linprog(
            np.concatenate([import_price[i] - saved, -saved, np.zeros(hours)]),
            A_ub=rows,
            b_ub=bounds,
            bounds=np.stack([np.zeros(3 * hours), highest], 1),
            method="highs",
        )
        total += found.fun + waiting_price @ arrived
    return total


def weighted_excess(
    district: District, limits: tuple[Budget, ...], weights: torch.Tensor, start: int, hours: int
) -> float:
    """The least Σ_k weights_k·(average use + debt − limit)_k of any plan, building by building."""
    hour = district.hour[(start + torch.arange(hours)) % district.hours]
    use, debt = np.zeros((district.n_agents, hours)), np.zeros(district.n_agents)
    for budget, weight in zip(limits, weights.tolist(), strict=True):
        counted = budget.hours[hour].double()
        who = np.ones(district.n_agents) if budget.agents is None else budget.agents.double().numpy()
        use += np.outer(who, weight * counted / counted.sum())
        debt += who * weight / hours
    allowed = sum(w * b.limit for w, b in zip(weights.tolist(), limits, strict=True))
    return least_by_building(district, start, hours, use, debt) - allowed


def test_paper_seven_average_smallest_level_is_0206_pooled_0112_ordinary_0443_double() -> None:
    alone = least_use(PAPER, 0, 2928)
    share = PAPER.demand_peak / 7
    assert float(alone.sum()) / PAPER.demand_peak == pytest.approx(0.206, abs=5e-4)
    assert float(alone[0]) / share == pytest.approx(0.112, abs=5e-4)
    assert float(alone[2]) / share == pytest.approx(0.443, abs=5e-4)


def test_homes_17_average_smallest_level_over_the_year_is_0179_pooled_and_0076_to_0334_alone() -> None:
    alone = least_use(HOMES, 0, 8760) / HOMES.demand_peak
    assert HOMES.demand_peak == pytest.approx(54.7, abs=0.05)
    assert float(alone.sum()) == pytest.approx(0.179, abs=5e-4)
    assert float(alone.min() * 17) == pytest.approx(0.076, abs=5e-4)
    assert float(alone.max() * 17) == pytest.approx(0.334, abs=5e-4)


@pytest.mark.parametrize(
    ("district", "name", "start", "hours", "figure"),
    [
        (PAPER, None, 0, 744, 789.6),
        (PAPER, "hourly-0.35", 0, 744, 1040.3),
        (PAPER, "hourly-0.25", 0, 2904, 4993.6),
        (PAPER, "hourly-0.35", 0, 2904, 4231.1),
        (CAMPUS, "hourly-0.25", 744, 2160, 4177.0),
        (CAMPUS, "hourly-0.3", 744, 2160, 4060.6),
        (CAMPUS, "hourly-0.35", 744, 2160, 3966.8),
    ],
)
def test_objective_of_the_seven_buildings(
    district: District, name: str | None, start: int, hours: int, figure: float
) -> None:
    assert planned(district, name, start, hours).objective * hours / UNIT == pytest.approx(figure, abs=0.06)


def test_hourly_multipliers_are_positive_at_the_ten_cheap_hours_and_level_night_with_day() -> None:
    multipliers = planned(PAPER, "hourly-0.35", 0, 744).multipliers
    assert multipliers.nonzero().flatten().tolist() == CHEAP_HOURS
    torch.testing.assert_close(
        multipliers[CHEAP_HOURS], torch.full((10,), 0.70, dtype=torch.float64), atol=0.01, rtol=0
    )


@pytest.mark.parametrize("level", [0.207, 0.21, 0.27])
def test_average_needs_no_multiplier_where_delay_is_free(level: float) -> None:
    plan = planned(PAPER, f"average-{level}", 0, 2928)
    assert plan.multipliers.tolist() == [0.0]
    assert float(plan.used[0]) <= level * PAPER.demand_peak


def test_average_is_infeasible_at_02_and_the_certificate_says_by_how_much() -> None:
    found = solve(PAPER, budgets(PAPER, "average-0.2"), 0, 2928)
    assert isinstance(found, Certificate)
    assert found.scale * 0.2 == pytest.approx(0.2063, abs=1e-4)
    assert found.weights.tolist() == [1.0]
    assert found.excess == pytest.approx(float(least_use(PAPER, 0, 2928).sum()) - 0.2 * PAPER.demand_peak)


def test_no_optimum_under_average_peaks_below_19_times_the_uncontrolled_peak() -> None:
    plan = planned(PAPER, "average-0.27", 0, 2928)
    assert plan.optima is not None
    least = plan.optima.least_import_peak()
    assert least / PAPER.demand_peak == pytest.approx(1.9016, abs=1e-4)
    assert least <= float(plan.imports.max())


@pytest.mark.parametrize("name", ["average-1", "hourly-1", "cap-1", "feeder-1"])
@pytest.mark.parametrize("district", [CAMPUS, HOMES], ids=lambda d: d.name)
def test_smallest_level_in_closed_form_is_the_programs(district: District, name: str) -> None:
    limits = budgets(district, name)
    start = district.measured[0]
    rows = budget_rows(district, limits, start, DAYS)
    program = minimise(distinct(district, limits), rows, start, DAYS, scale_limits=True)
    assert smallest_scale(district, limits, start, DAYS).scale == pytest.approx(program.value, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 8759),
    agent=st.integers(0, 39),
    capacity=st.floats(0, 3),
    power=st.floats(0, 1),
    connection=st.floats(0.3, 3),
)
def test_battery_always_grid_never_is_the_least_use_of_any_building(
    start: int, agent: int, capacity: float, power: float, connection: float
) -> None:
    one = make_district("synthetic_40").take(torch.tensor([agent]))
    one = dataclasses.replace(
        one,
        pv_kw=one.own_peak * 2,
        battery_kwh=one.own_peak * capacity,
        battery_kw=one.own_peak * power,
        connection_kwh=one.own_peak * connection,
    )
    hours = 48
    by_program = least_by_building(one, start, hours, np.ones((1, hours)), np.ones(1)) / hours
    assert float(least_use(one, start, hours)) == pytest.approx(by_program, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", ["average-1", "hourly-1", "feeder-1", "window-17_24-1", "window-0_6-17_24-1"])
@pytest.mark.parametrize("district", [PAPER, HOMES], ids=lambda d: d.name)
def test_certificate_holds_building_by_building(district: District, name: str) -> None:
    start = district.measured[0]
    least = smallest_scale(district, budgets(district, name), start, DAYS).scale
    limits = budgets(district, name, 0.9 * least)
    found = solve(district, limits, start, DAYS)
    assert isinstance(found, Certificate)
    assert found.scale == pytest.approx(1 / 0.9)
    assert found.excess > 0
    assert bool((found.weights >= 0).all())
    assert float(found.weights.sum()) == pytest.approx(1)
    recheck = weighted_excess(district, limits, found.weights, start, DAYS)
    assert recheck == pytest.approx(found.excess, rel=1e-5)


def test_budgets_just_above_the_smallest_level_can_be_met() -> None:
    for name in ("average-1", "hourly-1", "cap-1", "feeder-1", "window-17_24-1"):
        least = smallest_scale(CAMPUS, budgets(CAMPUS, name), 744, DAYS).scale
        limits = budgets(CAMPUS, name, 1.01 * least)
        plan = solve(CAMPUS, limits, 744, DAYS)
        assert isinstance(plan, Plan), name
        assert all(u <= b.limit * (1 + 1e-6) for u, b in zip(plan.used.tolist(), limits, strict=True)), name


@pytest.mark.parametrize(
    ("district", "name"),
    [
        (PAPER, "hourly-0.35"),
        (HOMES, "hourly-0.25"),
        (CAMPUS, "feeder-0.214"),
        (CAMPUS, "window-0_6-17_21-0.2"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_multipliers_prove_optimality_building_by_building(district: District, name: str) -> None:
    start = district.measured[0]
    limits = budgets(district, name)
    plan = planned(district, name, start, DAYS)
    bounds = torch.tensor([b.limit for b in limits], dtype=torch.float64)
    slack = bounds - plan.used
    assert bool((slack >= -1e-6 * bounds).all())
    assert bool((plan.multipliers >= 0).all())
    assert bool((plan.multipliers > 0).any())
    torch.testing.assert_close(plan.multipliers * slack / bounds, torch.zeros_like(slack), atol=1e-6, rtol=0)

    hour = district.hour[(start + torch.arange(DAYS)) % district.hours]
    tariff = district.price[(start + torch.arange(DAYS)) % district.hours].numpy()
    prices = np.tile(tariff, (district.n_agents, 1))
    debt = np.full(district.n_agents, float(district.price.max()))
    paid = 0.0
    for budget, multiplier in zip(limits, plan.multipliers.tolist(), strict=True):
        counted = budget.hours[hour].double().numpy()
        who = np.ones(district.n_agents) if budget.agents is None else budget.agents.double().numpy()
        price = multiplier * district.mean_price
        prices += np.outer(who, price * counted)
        debt += who * price * counted.mean()
        paid += price * budget.limit * counted.sum()
    delay = district.delay_price * district.mean_price
    dual = least_by_building(district, start, DAYS, prices, debt, delay) - paid
    assert dual / DAYS == pytest.approx(plan.objective, rel=1e-6)


def test_cap_bounds_every_hour() -> None:
    plan = planned(CAMPUS, "cap-0.35", 744, 744)
    assert float(plan.imports.max()) <= 0.35 * CAMPUS.demand_peak * (1 + 1e-6)
    assert plan.objective > planned(CAMPUS, "hourly-0.35", 744, 744).objective


@pytest.mark.parametrize("district", [PAPER, CAMPUS, HOMES], ids=lambda d: d.name)
@pytest.mark.parametrize("policy", ["serve_now", "buy_when_cheap"])
def test_no_simulated_controller_beats_the_optimum(district: District, policy: str) -> None:
    start, hours = district.measured[0], 744
    task = DemandResponse(district, ())
    task.reset(1, torch.Generator(), start=start, horizon=hours)
    earned, imported = 0.0, 0.0
    for t in range(hours):
        price = float(district.price[(start + t) % district.hours])
        actions = torch.ones(1, district.n_agents, 2)
        if policy == "buy_when_cheap":
            actions[..., 1] = float(price <= district.mean_price)
        step = task.step(actions)
        earned += float(step.reward.double().sum())
        imported += float(step.usage.double().sum())
    owed = float(step.measures["waiting_load"].double().sum())
    objective = (float(district.price.max()) * owed - earned) / hours
    level = (imported + owed) / hours / district.demand_peak * 1.001
    optimum = planned(district, f"average-{level}", start, hours).objective
    assert optimum <= objective * (1 + 1e-5)


def test_the_task_can_carry_out_the_optimal_plan() -> None:
    start, hours = HOMES.measured[0], DAYS
    limits = budgets(HOMES, "hourly-0.25")
    optimum = minimise(distinct(HOMES, limits), budget_rows(HOMES, limits, start, hours), start, hours)
    # Sorting moves the buildings: put their plans back in the district's order.
    table = distinct(HOMES, limits).district
    order = [int((table.demand_profile == i).nonzero()) for i in range(17)]
    grid, waiting = torch.from_numpy(optimum.grid[order]), torch.from_numpy(optimum.waiting[order])
    before = torch.cat([torch.zeros(17, 1, dtype=torch.float64), waiting[:, :-1]], 1)
    load = HOMES.demand(start, hours) + before
    battery = (load - grid - waiting).clamp_min(0.0)
    rest = load - battery
    shares = torch.stack([battery / load.clamp_min(1e-9), grid / rest.clamp_min(1e-9)], -1).float()
    task = DemandResponse(HOMES, limits)
    task.reset(1, torch.Generator(), start=start, horizon=hours)
    for t in range(hours):
        step = task.step(shares[None, :, t])
        torch.testing.assert_close(step.measures["waiting_load"][0], waiting[:, t].float(), atol=2e-2, rtol=1e-3)
    assert step.truncated.all()


def test_buildings_that_are_alike_are_solved_once() -> None:
    limits = budgets(PAPER, "hourly-0.35")
    assert distinct(PAPER, limits).weight.tolist() == [5.0, 2.0]
    feeders = budgets(PAPER, "feeder-0.3")
    assert sorted(distinct(PAPER, feeders).weight.tolist()) == [1.0, 1.0, 2.0, 3.0]
    apart = dataclasses.replace(PAPER, battery_kwh=PAPER.battery_kwh + 1e-9 * torch.arange(7))
    assert len(distinct(apart, limits).weight) == 7
    assert planned(PAPER, "hourly-0.35", 0, DAYS).objective == pytest.approx(
        planned(apart, "hourly-0.35", 0, DAYS).objective, rel=1e-6
    )


def test_a_window_that_leaves_hours_to_import_can_be_met_at_any_level() -> None:
    assert smallest_scale(CAMPUS, budgets(CAMPUS, "window-17_21-1"), 744, DAYS).scale == 0.0


def test_a_coupled_program_that_is_too_large_is_refused() -> None:
    district = make_district("synthetic_1000")
    limits = budgets(district, "average-0.6")
    rows = budget_rows(district, limits, 5832, 2928)
    with pytest.raises(UsageError, match=r"synthetic_1000.*1000 different buildings over 2928 hours"):
        minimise(distinct(district, limits), rows, 5832, 2928)
