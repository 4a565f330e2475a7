"""Demand response with perfect foresight, as a linear program over a window of hours, solved by HiGHS.

A building with demand d, solar g and price p chooses for every hour what it takes from the grid and from
its battery, what it charges and what it leaves waiting:

    q_t = q_{t-1} + d_t − e_b,t − e_g,t ≥ 0,  q_0 = 0             waiting load
    b_t = b_{t-1} + h_t − e_b,t/η ≥ 0,  b_0 = 0                   stored energy
    b_{t-1} + h_t ≤ C,  0 ≤ h_t ≤ min(η·g_t, P)                   charging comes before the discharge
    0 ≤ e_b,t ≤ P,  0 ≤ e_g,t ≤ G

    objective = (Σ p·e_g + p_max·Σ_i q_T)/T + w·mean_t Σ_i q_t    $/h, p_max the highest price of the calendar
    budget k: mean of e_g over its hours and agents + Σ_{i in k} q_T/T ≤ c_k

Here h may be less than what the sun gives, which the task does not allow; a fuller battery only widens the
choice, so the optimum is the same. Load still waiting at the end is charged to the cost and to every budget.
Buildings that are alike are one block of variables with a weight: the program is convex, so the mean of
their plans in any optimum is feasible for each and costs the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from accord.envs.districts.district import HOURS, District
from accord.envs.errors import UsageError
from accord.envs.optimum.all_optima import AllOptima
from accord.envs.optimum.decomposition import OwnPlans, Totals, decompose, own_optimum, usage
from accord.envs.optimum.sparse_program import (
    BudgetRows,
    Buildings,
    Optimum,
    budget_rows,
    distinct,
    highest_price,
    minimise,
    prices,
)
from accord.envs.task import Budget

ROUNDING = 1e-9  # relative; differences below it are arithmetic, not violations
GAP = 1e-3  # that is good enough of a program solved in parts
LARGEST_GAP = 1e-2  # that is an answer at all
LARGEST_WHOLE = 100_000  # building-hours solved in one piece: a thousand buildings' week took 6 min, in parts 80 s
LARGEST_APART = 3_000_000  # building-hours solved building by building: a thousand buildings take a minute


@dataclass(frozen=True)
class Plan:
    """An optimal plan of a district. Where several are optimal, the objective alone is the same for all of them.

    Attributes:
        objective: $/h, that no plan is below; what this one costs but for `gap`.
        imports: [hours] kWh, the district's import.
        multipliers: [m], in mean prices: in an hour of budget k the effective price is p + λ_k. Of a budget
            that binds in each step, the mean over its hours.
        used: [m] kWh, average use plus debt of each budget; the largest of any hour where it binds in each.
        gap: By which share this plan may be dearer than the best: above 0 where the program was solved in parts.
        optima: All optimal plans; None where the program was too large to be solved in one piece.
    """

    objective: float
    imports: Tensor
    multipliers: Tensor
    used: Tensor
    gap: float
    optima: AllOptima | None = None


@dataclass(frozen=True)
class Certificate:
    """How tight budgets can be, and why not tighter.

    For every plan, Σ_k weights_k·(average use in budget k + debt_k − limit_k) ≥ excess.

    Attributes:
        scale: The least factor on all limits together that some plan can meet; above 1: infeasible.
        weights: [m], non-negative, sum 1; all 0 where the scale is. Budgets that bind in each step and do
            not split the day among them have multipliers by the hour, of which these are the sums.
        excess: kWh per hour.
    """

    scale: float
    weights: Tensor
    excess: float


def solve(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> Plan | Certificate:
    """The cheapest plan within the budgets, or the proof that there is none.

    Args:
        district: N buildings.
        budgets: The m budgets on the district's import.
        start: First hour of the calendar.
        hours: T.

    Raises:
        UsageError: the program is too large to solve.
    """
    limits = _limits(budgets)
    energy = _energy(budgets, least_use(district, start, hours))
    if bool((energy > limits * (1 + ROUNDING)).any()):
        certificate = smallest_scale(district, budgets, start, hours)
        if certificate.scale > 1 + ROUNDING:
            return certificate
    buildings = distinct(district, budgets)
    if len(buildings.weight) * hours > LARGEST_APART:
        raise UsageError(
            f"district '{district.name}': {len(buildings.weight)} different buildings over {hours} hours are too many "
            f"for the linear program; at most {LARGEST_APART} building-hours are allowed"
        )
    rows, kinds = budget_rows(district, budgets, start, hours), len(buildings.weight)
    # Without budgets the program falls apart into buildings, which is far cheaper than solving it whole.
    if kinds * hours <= LARGEST_WHOLE:
        found = _alone(buildings, rows, start, hours)
        plan = _plan(district, _totals(buildings, found, rows), rows, start, hours)
        if not _within(plan, limits):
            found = minimise(buildings, rows, start, hours)
            plan = _plan(district, _totals(buildings, found, rows), rows, start, hours)
        return replace(plan, optima=AllOptima(buildings, rows, start, hours, found))
    plans = OwnPlans(buildings, rows, start, hours, threads=torch.get_num_threads())
    plan = _plan(district, own_optimum(plans), rows, start, hours)
    if _within(plan, limits):
        return plan
    # In parts it is solved only where owing everything is within the budgets, see `decompose`.
    if bool((energy > limits * (1 + ROUNDING)).any()):
        whole = _totals(buildings, minimise(buildings, rows, start, hours), rows)
        return _plan(district, whole, rows, start, hours)
    plan = _plan(district, decompose(plans, GAP), rows, start, hours)
    if plan.gap > LARGEST_GAP:
        raise UsageError(
            f"district '{district.name}': {kinds} different buildings over {hours} hours are too many for one linear "
            f"program, and solved in parts its optimum lies anywhere within {100 * plan.gap:.1f} %"
        )
    return plan


def smallest_scale(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> Certificate:
    """The least factor on all limits that some plan can meet, with weights that prove it.

    A plan that never imports owes `least_use`, and a debt counts in every budget: that bounds the factor from
    above. Budgets that split the day among the same agents, averaged by their hours, bound those agents'
    import plus debt as a whole: that bounds it from below. The two meet for every kind but `window`, whose
    other hours are free to import and which needs a linear program.

    Args:
        district: N buildings.
        budgets: The m budgets on the district's import; with limits at the uncontrolled peak, the factor is
            the smallest feasible level.
        start: First hour of the calendar.
        hours: T.

    Raises:
        UsageError: the program is too large to solve.
    """
    energy = _energy(budgets, least_use(district, start, hours))
    limits = _limits(budgets)
    above = float((energy / limits).max())
    below, weights = 0.0, torch.zeros_like(limits)
    for group in _splits_of_the_day(budgets):
        share = torch.zeros_like(limits)
        share[group] = _shares(district, budgets, start, hours)[group]
        bound = float(energy[group[0]] / (share @ limits))
        if bound > below:
            below, weights = bound, share
    if below >= above * (1 - ROUNDING):
        return Certificate(below, weights, float((below - 1) * (weights @ limits)))
    return _smallest_scale_by_program(district, budgets, start, hours)


def least_use(district: District, start: int, hours: int) -> Tensor:
    """The least average import plus debt of each building, [N] kWh per hour.

    Each hour's load is imported, served by the battery or owed in the end, so import plus debt is demand
    minus what the battery served. "Battery always, grid never" serves the most: with E and H the energy
    served and charged so far, E_t = min(E_{t-1} + P, demand so far, η·H_t) and
    H_t = min(H_{t-1} + min(η·g_t, P), C + E_{t-1}/η) both rise with (E_{t-1}, H_{t-1}), hence by induction no
    plan is ahead of it in any hour.
    """
    efficiency, power, capacity = district.efficiency, district.battery_kw, district.battery_kwh
    waiting, stored = torch.zeros_like(capacity), torch.zeros_like(capacity)
    for day in range(0, hours, HOURS):  # of whole months, the tables of many buildings would not fit the cache
        here = min(HOURS, hours - day)
        demand = district.demand(start + day, here).T.contiguous()
        charge = torch.minimum(efficiency * district.solar(start + day, here).T, power)
        for t in range(here):
            stored = torch.minimum(stored + charge[t], capacity)
            waiting = waiting + demand[t]
            served = torch.minimum(torch.minimum(waiting, efficiency * stored), power)
            waiting = waiting - served
            stored = (stored - served / efficiency).clamp_min(0.0)
    return waiting / hours


def _energy(budgets: tuple[Budget, ...], use: Tensor) -> Tensor:
    """Sum of `use` [N] over the agents of each budget, [m]."""
    sums = [use.sum() if b.agents is None else use[b.agents].sum() for b in budgets]
    return torch.stack(sums) if sums else use[:0]


def _limits(budgets: tuple[Budget, ...]) -> Tensor:
    return torch.tensor([b.limit for b in budgets], dtype=torch.float64)


def _shares(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> Tensor:
    """Share of the window's hours in which each budget counts, [m]."""
    hour = district.hour[(start + torch.arange(hours)) % district.hours]
    return torch.stack([b.hours[hour].double().mean() for b in budgets])


def _splits_of_the_day(budgets: tuple[Budget, ...]) -> list[list[int]]:
    """Groups of budgets, by index, that share their agents and count each hour of the day exactly once."""
    groups: dict[bytes | None, list[int]] = {}
    for k, budget in enumerate(budgets):
        key = None if budget.agents is None else budget.agents.numpy().tobytes()
        groups.setdefault(key, []).append(k)
    counts = {key: torch.stack([budgets[k].hours.long() for k in group]).sum(0) for key, group in groups.items()}
    return [group for key, group in groups.items() if bool((counts[key] == 1).all())]


def _smallest_scale_by_program(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> Certificate:
    rows = budget_rows(district, budgets, start, hours)
    optimum = minimise(distinct(district, budgets), rows, start, hours, scale_limits=True)
    weights = np.bincount(rows.budget, optimum.duals * rows.count, minlength=len(budgets))
    total = weights.sum()
    if total == 0:
        return Certificate(0.0, torch.from_numpy(weights), 0.0)
    return Certificate(optimum.value, torch.from_numpy(weights / total), float((optimum.value - 1) / total))


def _within(plan: Plan, limits: Tensor) -> bool:
    return bool((plan.used <= limits * (1 + ROUNDING)).all())


def _alone(buildings: Buildings, rows: BudgetRows, start: int, hours: int) -> Optimum:
    """What everybody does without budgets."""
    found = [minimise(buildings.only(k), None, start, hours) for k in range(len(buildings.weight))]
    plans, own_duals = (np.concatenate(part) for part in zip(*((f.plans, f.own_duals) for f in found), strict=True))
    return Optimum(plans, np.zeros(len(rows.limit)), own_duals, sum(f.value for f in found))


def _totals(buildings: Buildings, optimum: Optimum, rows: BudgetRows) -> Totals:
    weight, grid, waiting = buildings.weight, optimum.grid, optimum.waiting
    used = weight @ usage(buildings, rows, grid, waiting)
    return Totals(weight @ grid, weight @ waiting, used, optimum.duals, optimum.value, optimum.value)


def _plan(district: District, totals: Totals, rows: BudgetRows, start: int, hours: int) -> Plan:
    """The plan in the district's units: means over hours, multipliers per hour of a budget."""
    imports, waiting = totals.imports, totals.waiting
    cost = (prices(district, start, hours) @ imports + highest_price(district) * waiting[-1]) / hours
    delay = district.delay_price * waiting.mean()
    used, multipliers, counted = np.zeros((3, rows.n_budgets))
    np.maximum.at(used, rows.budget, totals.usage / rows.count)
    np.add.at(multipliers, rows.budget, totals.duals * rows.count)
    np.add.at(counted, rows.budget, rows.count)
    missing = totals.value - totals.bound  # between the plan and what nothing can be below
    return Plan(
        objective=float((cost + delay - missing / hours) * district.mean_price),
        imports=torch.from_numpy(imports),
        multipliers=torch.from_numpy(multipliers / np.maximum(counted, 1.0)),
        used=torch.from_numpy(used),
        gap=0.0 if missing == 0 else missing / abs(totals.bound) if totals.bound else math.inf,
    )
