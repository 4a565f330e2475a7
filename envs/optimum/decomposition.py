"""Optima of large districts: buildings plan alone under prices, and a small master program sets the prices.

Dantzig and Wolfe (1960). With multipliers λ on the budgets the program of `envs.optimum.sparse_program` falls apart
into buildings, and their plans at λ are a lower bound on the optimum:

    g(λ) = Σ_i min_{x_i} [cost_i(x_i) + λ·use_i(x_i)] − λ·limit ≤ optimum

The master mixes the plans found so far, group by group, into the cheapest one within the budgets: an upper bound.
Its multipliers, kept near the best ones so far, are the next prices.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import highspy
import numpy as np
from scipy import sparse

from accord.envs.optimum.sparse_program import (
    BLOCKS,
    GRID,
    WAITING,
    Array,
    BudgetRows,
    Buildings,
    Program,
    highest_price,
    own_bounds,
    own_program,
    prices,
    solved,
)

PARTS = 16  # of the buildings, one simplex each
GROUPS = 256  # of buildings whose plans are mixed as one: more of them need fewer rounds and a larger master
ROUNDS = 40
# Mean prices that multipliers may move in the first round, and what follows a success and a failure: 14 and 30 rounds
# for sixty buildings under hourly budgets 1.3 and 1.05 times the smallest, where halves or no growth took 12 to 40.
WIDTH, LONGER, SHORTER = 0.5, 1.5, 0.7


@dataclass(frozen=True)
class Totals:
    """What a district does in a plan, all its buildings together.

    Attributes:
        imports: [T] kWh.
        waiting: [T] kWh.
        usage: Import in each budget row plus its share of the debt, [R] kWh summed over hours.
        duals: Multipliers of the rows, [R].
        value: Of what is minimised, mean prices · kWh summed over hours.
        bound: Nothing can be below; equal to `value` for an exact optimum.
    """

    imports: Array
    waiting: Array
    usage: Array
    duals: Array
    value: float
    bound: float


class OwnPlans:
    """The plans of K buildings, each for itself under multipliers of the budget rows; a simplex for each of some parts.

    Buildings of one efficiency have the same matrix: only bounds differ, and a basis stays dual feasible from one
    building to the next.
    """

    def __init__(self, buildings: Buildings, rows: BudgetRows, start: int, hours: int, threads: int) -> None:
        """Set up.

        Args:
            buildings: Those that differ.
            rows: Bounds on sums over hours.
            start: First hour of the calendar.
            hours: T.
            threads: Buildings that are solved at a time.
        """
        self.buildings, self.rows, self._window = buildings, rows, (start, hours)
        district = buildings.district
        self._demand, self._solar = (f(start, hours).numpy() for f in (district.demand, district.solar))
        self._counted = buildings.member[rows.budget].T.astype(np.float64)  # [K, R]
        self._due = self._counted * (rows.count / hours)  # of a unit owed
        # Buildings that follow one another share a simplex: their data are sorted, so the bases are near. Where several
        # plans are best, the basis decides: the parts are the same whatever the number of threads.
        order = np.arange(len(buildings.weight))
        efficiency = district.efficiency.numpy()
        alike = [order[efficiency == value] for value in np.unique(efficiency)]
        self._parts = [part for same in alike for part in np.array_split(same, PARTS) if len(part)]
        self._solvers = [_Simplex(buildings.only(int(part[0])), start, hours) for part in self._parts]
        self._threads = threads

    def at(self, duals: Array, *, without_grid: bool = False) -> tuple[Array, Array, Array]:
        """The cheapest plans at multipliers [R]: import [K, T], waiting load [K, T], and values [K] with λ paid.

        Args:
            duals: λ of the rows.
            without_grid: Nobody imports: what each budget is used the least by.
        """
        added = (self._counted * duals) @ self.rows.hours  # [K, T]
        owed = self._due @ duals
        kinds, hours = self._demand.shape
        grid, waiting, value = np.zeros((kinds, hours)), np.zeros((kinds, hours)), np.zeros(kinds)

        def solve(part: Array, simplex: _Simplex) -> None:
            for k in part:
                bounds = own_bounds(self.buildings.district, int(k), self._demand[k], self._solar[k])
                if without_grid:
                    bounds[0][GRID * hours : (GRID + 1) * hours] = 0.0
                value[k], grid[k], waiting[k] = simplex.solve(bounds, added[k], owed[k])

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(solve, self._parts, self._solvers))
        return grid, waiting, value

    def cost(self, grid: Array, waiting: Array) -> Array:
        """What plans cost without multipliers, [K], in mean prices summed over hours."""
        district = self.buildings.district
        debt = highest_price(district) * waiting[:, -1]
        return grid @ prices(district, *self._window) + district.delay_price * waiting.sum(1) + debt

    def usage(self, grid: Array, waiting: Array) -> Array:
        """See the function of this name."""
        return usage(self.buildings, self.rows, grid, waiting)


def usage(buildings: Buildings, rows: BudgetRows, grid: Array, waiting: Array) -> Array:
    """What plans [K, T] use in each budget row, [K, R] kWh summed over its hours, debt included."""
    counted = buildings.member[rows.budget].T.astype(np.float64)  # [K, R]
    debt = waiting[:, -1:] * (rows.count / grid.shape[1])
    return np.asarray(counted * (grid @ rows.hours.T + debt))


class _Simplex:
    """The program of one building after the other, each from the basis of the last."""

    def __init__(self, likeness: Buildings, start: int, hours: int) -> None:
        """Set up.

        Args:
            likeness: A building of the same efficiency.
            start: First hour of the calendar.
            hours: T.
        """
        program = own_program(likeness, start, hours)
        self._cost = program.cost / likeness.weight[0]
        self._solver, self._hours = program.load(), hours
        # A program this small is solved before presolve has looked at it.
        self._solver.setOptionValue("presolve", "off")
        self._columns = np.arange(len(program.cost), dtype=np.int32)
        self._rows = np.arange(len(program.low), dtype=np.int32)

    def solve(self, bounds: tuple[Array, Array, Array], added: Array, owed: float) -> tuple[float, Array, Array]:
        """Least cost, import [T] and waiting load [T] of a building with these bounds.

        Args:
            bounds: Its own, see `own_bounds`.
            added: [T] what its import costs beside the tariff.
            owed: What a unit of load that waits at the end costs beside the highest price.
        """
        solver, hours = self._solver, self._hours
        cost = self._cost.copy()
        cost[GRID * hours : (GRID + 1) * hours] += added
        cost[(WAITING + 1) * hours - 1] += owed
        top, low, high = bounds
        # The stubs lack the last one.
        for taken in (
            solver.changeColsCost(len(cost), self._columns, cost),
            solver.changeColsBounds(len(cost), self._columns, np.zeros_like(cost), top),
            solver.changeRowsBounds(len(self._rows), self._rows, low, high),  # type: ignore[attr-defined]
        ):
            if taken != highspy.HighsStatus.kOk:
                raise RuntimeError(f"HiGHS did not take a building's numbers: {taken}")
        value, columns, _ = solved(solver)
        plan = columns.reshape(BLOCKS, hours)
        return value, plan[GRID], plan[WAITING]


def own_optimum(plans: OwnPlans) -> Totals:
    """What everybody does without budgets: the program falls apart, which is far cheaper than solving it whole."""
    grid, waiting, value = plans.at(np.zeros(len(plans.rows.limit)))
    weight = plans.buildings.weight
    total = float(weight @ value)
    usage = weight @ plans.usage(grid, waiting)
    return Totals(weight @ grid, weight @ waiting, usage, np.zeros(len(usage)), total, total)


def decompose(plans: OwnPlans, gap: float, rounds: int = ROUNDS) -> Totals:
    """The cheapest plan within the budgets, to a relative `gap` or as far as some rounds come.

    Args:
        plans: Buildings and budgets; "battery always, grid never" must be within the budgets.
        gap: value / bound − 1 that is good enough.
        rounds: Times that every building is planned, at most.
    """
    master, limit = _Master(plans), plans.rows.limit * plans.rows.count
    master.add(*plans.at(np.zeros(len(limit)), without_grid=True)[:2])
    centre, width, bound = np.zeros(len(limit)), WIDTH, -np.inf
    tried = centre
    for _ in range(rounds):
        grid, waiting, value = plans.at(tried)
        master.add(grid, waiting)
        reached = float(plans.buildings.weight @ value - tried @ limit)
        if reached > bound:
            bound, centre, width = reached, tried, LONGER * width
        else:
            width *= SHORTER  # the master is too hopeful this far from what it knows
        totals = master.mix()
        if totals.value - bound <= gap * abs(bound):
            break
        tried = master.mix(centre, width).duals
    return replace(totals, duals=centre, bound=bound)


class _Master:
    """Mixes the plans found so far: for each group of buildings a convex combination."""

    def __init__(self, plans: OwnPlans) -> None:
        self._plans = plans
        kinds = len(plans.buildings.weight)
        groups = min(GROUPS, kinds)
        # [groups, K]: which buildings a group adds up, by how many there are of each.
        owner = np.arange(kinds) * groups // kinds
        self._sum = sparse.csr_array((plans.buildings.weight, (owner, np.arange(kinds))), shape=(groups, kinds))
        self._found: list[tuple[Array, ...]] = []

    def add(self, grid: Array, waiting: Array) -> None:
        """Take in a plan of every building, [K, T] each."""
        parts = (self._plans.cost(grid, waiting), self._plans.usage(grid, waiting), grid, waiting)
        self._found.append(tuple(np.asarray(self._sum @ part) for part in parts))

    def mix(self, centre: Array | None = None, width: float = 0.0) -> Totals:
        """The cheapest mixture within the budgets, without a bound.

        Args:
            centre: Instead, multipliers within ± `width` of these (Marsten, Hogan and Blankenship, 1975): rows may
                be exceeded at the dearest of them, and what they leave is paid for at the least of them.
            width: See there.
        """
        rows, groups = self._plans.rows, self._sum.shape[0]
        cost, usage, imports, waiting = (np.concatenate(parts) for parts in zip(*self._found, strict=True))
        one_each = sparse.hstack([sparse.eye_array(groups, format="csr")] * len(self._found), format="csr")
        coupling, found = sparse.csr_array(usage.T), len(cost)
        if centre is not None:
            slack = sparse.eye_array(len(centre), format="csr")
            coupling = sparse.hstack([coupling, -slack, slack], format="csr")
            cost = np.concatenate([cost, centre + width, -np.maximum(centre - width, 0.0)])
            one_each = sparse.hstack([one_each, sparse.csr_array((groups, 2 * len(centre)))], format="csr")
        program = Program(cost, np.full(len(cost), np.inf), one_each, np.ones(groups), np.ones(groups))
        value, mixed, duals = program.within(coupling, rows.limit * rows.count).solve()
        share = mixed[:found]
        duals = np.maximum(-duals[groups:], 0.0)
        return Totals(share @ imports, share @ waiting, share @ usage, duals, value, -np.inf)
