"""The program solved in parts against the program solved whole."""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

import accord.envs.optimum.linear_program
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError
from accord.envs.optimum.decomposition import OwnPlans, decompose, own_optimum
from accord.envs.optimum.linear_program import Plan, least_use, solve
from accord.envs.optimum.sparse_program import budget_rows, distinct, minimise
from accord.envs.task import Budget

HOURS, START, GAP = 72, 243 * 24, 1e-3
MANY = make_district("synthetic_150").take(torch.arange(80, 110))  # two feeders


def plans_of(budgets: tuple[Budget, ...], threads: int = 1) -> OwnPlans:
    rows = budget_rows(MANY, budgets, START, HOURS)
    return OwnPlans(distinct(MANY, budgets), rows, START, HOURS, threads)


def tight(name: str) -> tuple[Budget, ...]:
    """Budgets halfway between the least that can be used and what is used without them."""
    if name == "halves":  # each counts the hour of the largest import of one half of the buildings
        first = torch.arange(MANY.n_agents) < MANY.n_agents // 2
        busy = torch.arange(24) == 20
        budgets = tuple(Budget(str(k), 0, busy, 1.0, 1.0, half) for k, half in enumerate((first, ~first)))
    else:
        budgets = budgets_of(MANY, parse_budget(f"{name}-1"), 1.0)
    plans = plans_of(budgets)
    used = np.zeros(len(budgets))
    np.maximum.at(used, plans.rows.budget, own_optimum(plans).usage / plans.rows.count)
    least = least_use(MANY, START, HOURS)
    owed = [float((least if b.agents is None else least[b.agents]).sum()) for b in budgets]
    limits = [max(low, (low + high) / 2) for low, high in zip(owed, used, strict=True)]
    return tuple(dataclasses.replace(b, limit=limit, scale=limit) for b, limit in zip(budgets, limits, strict=True))


@pytest.mark.parametrize(("name", "threads"), [("hourly", 1), ("hourly", 2), ("halves", 1)])
def test_parts_meet_the_budgets_at_the_cost_of_the_whole(name: str, threads: int) -> None:
    plans = plans_of(tight(name), threads)
    rows, found, alone = plans.rows, decompose(plans, GAP), own_optimum(plans)
    whole = minimise(plans.buildings, rows, START, HOURS).value
    assert alone.value * (1 + GAP) < found.bound <= whole * (1 + 1e-9)
    assert whole * (1 - 1e-9) <= found.value <= found.bound * (1 + GAP)
    assert (found.usage / rows.count <= rows.limit * (1 + 1e-7)).all()
    assert (found.duals >= 0).all()


def test_fewer_rounds_leave_an_honest_gap() -> None:
    plans = plans_of(tight("hourly"))
    whole = minimise(plans.buildings, plans.rows, START, HOURS).value
    few = decompose(plans, GAP, rounds=3)
    assert few.value > (1 + GAP) * few.bound
    assert few.bound <= whole <= few.value


def test_without_budgets_buildings_are_planned_one_by_one() -> None:
    plans = plans_of((), threads=2)
    alone = own_optimum(plans)
    assert alone.value == alone.bound == pytest.approx(minimise(plans.buildings, None, START, HOURS).value, rel=1e-9)


def test_a_program_too_large_to_couple_is_solved_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    budgets = tight("hourly")
    whole = solve(MANY, budgets, START, HOURS)
    monkeypatch.setattr(accord.envs.optimum.linear_program, "LARGEST_WHOLE", 100)
    parts = solve(MANY, budgets, START, HOURS)
    assert isinstance(whole, Plan)
    assert isinstance(parts, Plan)
    assert whole.gap == 0
    assert whole.optima is not None
    assert parts.optima is None
    assert 0 <= parts.gap <= GAP
    assert whole.objective * (1 - GAP) < parts.objective < whole.objective * (1 + 1e-6), "what no plan is below"
    limits = torch.tensor([budget.limit for budget in budgets])
    assert bool((parts.used <= limits * (1 + 1e-6)).all())
    # Multipliers of the optimum are hardly ever unique, so only what they are worth is compared: the bound.
    assert bool((parts.multipliers > 0).any())


def test_an_answer_too_far_from_its_bound_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accord.envs.optimum.linear_program, "LARGEST_WHOLE", 100)
    monkeypatch.setattr(accord.envs.optimum.linear_program, "decompose", partial(decompose, rounds=3))
    with pytest.raises(
        UsageError, match=r"synthetic_150.*30 different buildings over 72 hours.*anywhere within [0-9.]+ %"
    ):
        solve(MANY, tight("hourly"), START, HOURS)
