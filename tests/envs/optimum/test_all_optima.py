"""The least over all optima: known by hand in a small district, the same for every way of solving in large ones."""

import dataclasses
from typing import Any

import highspy
import numpy as np
import pytest
import torch
from scipy import sparse

import accord.envs.optimum.linear_program
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.district import District
from accord.envs.districts.named import make_district
from accord.envs.optimum.all_optima import AllOptima, optimal_face
from accord.envs.optimum.linear_program import Plan, solve
from accord.envs.optimum.sparse_program import (
    Buildings,
    Program,
    budget_rows,
    budget_use,
    distinct,
    minimise,
    own_cost,
    own_program,
)
from accord.envs.scenario import Bound
from accord.envs.task import Budget

PAPER = make_district("paper_seven")
CAMPUS = make_district("campus_seven")
HOURS = 120
OPTIONS: dict[str, dict[str, Any]] = {
    "dual_simplex": {},
    "primal_simplex": {"simplex_strategy": 4},
    "no_presolve": {"presolve": "off"},
    "interior_point": {"solver": "ipx", "run_crossover": "on"},
}


def two_houses(first: float, second: float, later: float, price: list[float], delay: float = 0.0) -> District:
    """Two houses without batteries that need 4 and `first` − 4 kWh in hour 0 and the second one more afterwards.

    Args:
        first: kWh in hour 0, both together.
        second: kWh in hour 1.
        later: kWh in hour 2.
        price: Of the first hours; 2 $/kWh in all others.
        delay: $ per kWh that waits for an hour.
    """
    demand = torch.zeros(2, 24, dtype=torch.float64)
    demand[0, 0] = 4.0
    demand[1, :3] = torch.tensor([first - 4.0, second, later])
    tariff = torch.full((24,), 2.0, dtype=torch.float64)
    tariff[: len(price)] = torch.tensor(price, dtype=torch.float64)
    none = torch.zeros(2, dtype=torch.float64)
    return dataclasses.replace(
        PAPER.take(torch.tensor([0, 2])),
        demand_profiles=demand,
        solar_profiles=torch.zeros(1, 24, dtype=torch.float64),
        price=tariff,
        hour=torch.arange(24),
        demand_profile=torch.arange(2),
        solar_profile=torch.zeros(2, dtype=torch.long),
        shift=torch.zeros(2, dtype=torch.long),
        demand_scale=none + 1,
        pv_kw=none,
        battery_kwh=none,
        battery_kw=none,
        connection_kwh=none + torch.inf,
        delay_price=delay / float(tariff.mean()),
    )


def budget(hours: list[int], limit: float) -> Budget:
    """At most `limit` kWh on average over hours of the day."""
    counted = torch.zeros(24, dtype=torch.bool)
    counted[hours] = True
    return Budget("budget", 0, counted, limit, limit)


def optima_of(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> tuple[Plan, AllOptima]:
    plan = solve(district, budgets, start, hours)
    assert isinstance(plan, Plan)
    assert plan.optima is not None
    return plan, plan.optima


@pytest.mark.parametrize(
    ("demand", "price", "budgets", "peak"),
    [
        # Hours 1 and 2 are the cheap ones: what is needed earlier is shared between them.
        ((6, 0, 0), [2, 1, 1], (), 3),
        ((6, 0, 5), [2, 1, 1], (), 5.5),
        # More is needed in hour 2 than was before.
        ((6, 0, 8), [2, 1, 1], (), 8),
        ((6, 3, 0), [2, 1, 1], (), 4.5),
        # Hour 1 may give 2.5 at the most, which costs nothing but the room to share.
        ((6, 0, 5), [2, 1, 1], (budget([1], 2.5),), 8.5),
        # The cheap hours may give 1.5 each on average, however they share it; what is left waits for hour 3.
        ((5, 0, 0), [2, 1, 1, 1.5], (budget([1, 2], 1.5),), 2),
        ((4, 0, 0), [2, 1, 1, 1.5], (budget([1, 2], 1.5),), 1.5),
    ],
)
def test_the_least_peak_of_two_houses_is_known_by_hand(
    demand: tuple[float, float, float], price: list[float], budgets: tuple[Budget, ...], peak: float
) -> None:
    plan, optima = optima_of(two_houses(*demand, price), budgets, 0, 5)
    assert optima.least_import_peak() == pytest.approx(peak, rel=1e-7)
    assert optima.least_cost() == pytest.approx(plan.objective, rel=1e-7), "delay is free"


def test_the_least_cost_is_that_of_the_longest_wait_where_waiting_is_worth_it() -> None:
    # An hour of waiting costs what hour 2 saves: 6 kWh cost 7.5 + 6·w in every optimum, of which 6 to 7.5 for energy.
    plan, optima = optima_of(two_houses(6, 0, 0, [2, 1.25, 1], delay=0.25), (), 0, 5)
    assert plan.objective * 5 == pytest.approx(7.5 + 6 * 0.25)
    assert optima.least_cost() * 5 == pytest.approx(6.0)
    assert optima.least_import_peak() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("district", "name"),
    [(PAPER, "average-0.4"), (PAPER, "feeder-0.4"), (CAMPUS, "hourly-0.35")],
    ids=["average", "feeder", "hourly"],
)
def test_what_is_least_does_not_depend_on_how_the_first_optimum_was_found(
    district: District, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, start = parse_budget(name), district.measured[0]
    limits = budgets_of(district, parsed, parsed.level)
    kinds, rows = distinct(district, limits), budget_rows(district, limits, start, HOURS)
    backwards = torch.arange(len(kinds.weight)).flip(0)
    turned = Buildings(kinds.district.take(backwards), kinds.weight[::-1].copy(), kinds.member[:, ::-1].copy())
    load = Program.load
    own_peaks, peaks, costs = [], [], []
    for buildings in (kinds, turned):
        for options in OPTIONS.values():

            def with_options(program: Program, options: dict[str, Any] = options) -> highspy.Highs:
                solver = load(program)
                for key, value in options.items():
                    assert solver.setOptionValue(key, value) == highspy.HighsStatus.kOk
                return solver

            monkeypatch.setattr(Program, "load", with_options)
            found = minimise(buildings, rows, start, HOURS)
            optima = AllOptima(buildings, rows, start, HOURS, found)
            own_peaks.append((buildings.weight @ found.grid).max())
            peaks.append(optima.least_import_peak())
            costs.append(optima.least_cost())
    assert max(own_peaks) > min(own_peaks) * 1.05, "each found another optimum"
    assert peaks == pytest.approx([peaks[0]] * len(peaks), rel=1e-6)
    assert costs == pytest.approx([costs[0]] * len(costs), rel=1e-6)
    assert peaks[0] <= min(own_peaks) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("district", "name"), [(PAPER, "average-0.4"), (CAMPUS, "hourly-0.35")], ids=["paper", "campus"]
)
def test_plans_that_may_cost_a_trifle_more_come_as_low_and_hardly_lower(district: District, name: str) -> None:
    # The same by a row for the objective, which is what the optima are by definition.
    parsed, start = parse_budget(name), district.measured[0]
    limits = budgets_of(district, parsed, parsed.level)
    plan, optima = optima_of(district, limits, start, HOURS)
    kinds, rows = distinct(district, limits), budget_rows(district, limits, start, HOURS)
    program = own_program(kinds, start, HOURS).within(budget_use(kinds, rows, HOURS), rows.limit * rows.count)
    objective = plan.objective / district.mean_price * HOURS
    imports = np.zeros((HOURS, len(kinds.weight), 5, HOURS))
    for k, weight in enumerate(kinds.weight):
        imports[np.arange(HOURS), k, 0, np.arange(HOURS)] = weight
    each_hour = sparse.csr_array(imports.reshape(HOURS, -1))
    least = optima.least_import_peak()
    for allowed, within in ((1e-8, 1e-5), (1e-6, 1e-3)):
        near = program.within(sparse.csr_array(program.cost[None]), np.array([objective * (1 + allowed)]))
        peak = near.scaled_within(each_hour, np.ones(HOURS)).solve()[0]
        assert least * (1 - within) < peak <= least * (1 + 1e-7)
    assert least < 0.9 * float(plan.imports.max()), "the plan that was found is another one"


@pytest.mark.parametrize(
    ("address", "delay_is_free"), [("paper_seven/ring/average-0.4", True), ("campus_seven/ring/hourly-0.35", False)]
)
def test_what_is_least_is_left_out_where_the_program_is_solved_in_parts(
    address: str, delay_is_free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = resolve_district(address)
    first, _ = scenario.protocol.measured
    short = scenario.over(dataclasses.replace(scenario.protocol, measured=(first, first + HOURS)))
    whole = short.optimum()
    monkeypatch.setattr(accord.envs.optimum.linear_program, "LARGEST_WHOLE", 100)
    parts = short.optimum()
    assert isinstance(whole, Bound)
    assert isinstance(parts, Bound)
    assert whole.imports is not None
    assert parts.imports is not None
    assert 0 < (whole.import_peak or 0) < float(whole.imports.max())
    assert parts.import_peak is None
    if delay_is_free:
        assert (whole.cost, parts.cost) == (whole.objective, parts.objective), "energy is all that is paid for"
    else:
        assert 0 < (whole.cost or 0) < whole.objective
        assert parts.cost is None


def test_the_optima_of_a_program_hold_what_has_a_price() -> None:
    # Least −x + y + z with x ≤ 3 and y + z ≥ 2: x is 3 and y + z is 2, however it is shared.
    row, most = sparse.csr_array(np.array([[0.0, 1.0, 1.0]])), np.array([3.0, 5.0, 5.0])
    program = Program(np.array([-1.0, 1.0, 1.0]), most, row, np.array([2.0]), np.array([np.inf]))
    value, columns, duals = program.solve()
    face = optimal_face(program, columns, duals)
    assert value == -1
    for cost, least in (([1, 0, 0], 3), ([0, 1, 0], 0), ([0, -1, 0], -2), ([0, -1, -1], -2)):
        assert dataclasses.replace(face, cost=np.array(cost, dtype=float)).least() == pytest.approx(least, abs=1e-7)


def test_cost_is_the_objective_without_what_waits() -> None:
    kinds = distinct(CAMPUS, ())
    with_delay = own_program(kinds, 0, HOURS).cost
    energy = own_cost(kinds, 0, HOURS, delay_price=0.0)
    waiting = np.zeros((len(kinds.weight), 5, HOURS))
    waiting[:, 3] = kinds.weight[:, None] * CAMPUS.delay_price
    assert with_delay - energy == pytest.approx(waiting.ravel(), abs=1e-12)
