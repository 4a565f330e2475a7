"""The demand-response program as sparse matrices, and HiGHS to minimise over them.

Energy is in kWh, prices are in mean prices, and everything is summed over hours, so that the dual value of
a budget is its multiplier. `envs.optimum.linear_program` has the equations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import highspy
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from accord.envs.districts.district import PER_AGENT, District
from accord.envs.errors import UsageError
from accord.envs.task import Budget

Array = NDArray[np.float64]

# Distinct buildings × hours; 50,000 take some 20 s on one core and 146,000 some 200 s.
LARGEST_COUPLED = 300_000
# Blocks of T columns of one building, in this order.
GRID, BATTERY, CHARGE, WAITING, STORED = range(5)
BLOCKS = 5
OWN_ROWS = 3  # blocks of T rows of one building, see `own_rows`


@dataclass(frozen=True)
class Buildings:
    """K buildings that differ.

    Attributes:
        district: The buildings.
        weight: How many there are of each, [K].
        member: Which budgets count them, bool [m, K].
    """

    district: District
    weight: Array
    member: NDArray[np.bool_]

    def only(self, k: int) -> Buildings:
        """Building `k` and its likes."""
        return Buildings(self.district.take(torch.tensor([k])), self.weight[[k]], self.member[:, [k]])


@dataclass(frozen=True)
class BudgetRows:
    """R bounds on sums over hours: one for each budget, or one for each of its hours.

    Attributes:
        hours: Which hours a row adds up, [R, T].
        budget: Index of its budget, [R].
        limit: Bound on the mean over its hours, [R] kWh.
        n_budgets: m.
    """

    hours: sparse.csr_array
    budget: NDArray[np.int64]
    limit: Array
    n_budgets: int

    @property
    def count(self) -> Array:
        """Number of hours of each row, [R]."""
        return np.diff(self.hours.indptr).astype(np.float64)


@dataclass(frozen=True)
class Optimum:
    """A solution.

    Attributes:
        plans: Every variable of one building of each sort, [K, 5, T] kWh.
        duals: Multipliers of the budget rows, [R], non-negative.
        own_duals: Dual values of the buildings' own rows, [K, 3T].
        value: The least value of what was minimised.
    """

    plans: Array
    duals: Array
    own_duals: Array
    value: float

    @property
    def grid(self) -> Array:
        """Import of one building of each sort, [K, T] kWh."""
        return self.plans[:, GRID]

    @property
    def waiting(self) -> Array:
        """Waiting load of one building of each sort, [K, T] kWh."""
        return self.plans[:, WAITING]


def kinds(
    district: District, budgets: tuple[Budget, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Which buildings differ in their data or in the budgets that count them.

    Returns:
        The first building of each kind, [K]; the kind of each building, [N]; how many there are of each, [K]; and which
        budgets count whom, bool [m, N].
    """
    everyone = torch.ones(district.n_agents, dtype=torch.bool)
    member = torch.stack([everyone if b.agents is None else b.agents for b in budgets] or [everyone]).numpy()
    names = [name for name in PER_AGENT if name not in ("feeder", "agent_type")]
    own = [getattr(district, name).double().numpy() for name in names]
    table = np.stack([*own, *member.astype(np.float64)], 1)
    _, first, kind, count = np.unique(table, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return first, kind.ravel(), count, member


def distinct(district: District, budgets: tuple[Budget, ...]) -> Buildings:
    """The buildings that differ in their data or in the budgets that count them."""
    first, _, count, member = kinds(district, budgets)
    return Buildings(district.take(torch.from_numpy(first)), count.astype(np.float64), member[:, first])


def budget_rows(district: District, budgets: tuple[Budget, ...], start: int, hours: int) -> BudgetRows:
    """The rows of m budgets in a window of `hours`; a budget without hours in it has none."""
    hour = district.hour[(start + torch.arange(hours)) % district.hours]
    columns: list[NDArray[np.int64]] = []
    budget: list[int] = []
    for k, b in enumerate(budgets):
        counted = b.hours[hour].numpy().nonzero()[0]
        new = list(counted[:, None]) if b.each_step else [counted] if len(counted) else []
        columns += new
        budget += [k] * len(new)
    ends = np.cumsum([0, *map(len, columns)])
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *columns])
    matrix = sparse.csr_array((np.ones(len(flat)), flat, ends), shape=(len(columns), hours))
    index = np.array(budget, dtype=np.int64)
    limits = np.array([b.limit for b in budgets], dtype=np.float64)
    return BudgetRows(matrix, index, limits[index], len(budgets))


def minimise(
    buildings: Buildings, rows: BudgetRows | None, start: int, hours: int, *, scale_limits: bool = False
) -> Optimum:
    """The cheapest plan or, with `scale_limits`, a plan with the least common factor on all limits.

    Args:
        buildings: K buildings.
        rows: The budgets; None for none.
        start: First hour of the calendar.
        hours: T.
        scale_limits: Minimise the factor in place of the cost.

    Raises:
        UsageError: budgets couple more than `LARGEST_COUPLED` building-hours.
    """
    kinds = len(buildings.weight)
    if rows is not None and kinds * hours > LARGEST_COUPLED:
        raise UsageError(
            f"district '{buildings.district.name}': its linear program couples {kinds} different buildings "
            f"over {hours} hours; at most {LARGEST_COUPLED} building-hours are allowed"
        )
    program = own_program(buildings, start, hours)
    if rows is not None:
        coupling, bound = budget_use(buildings, rows, hours), rows.limit * rows.count
        program = program.scaled_within(coupling, bound) if scale_limits else program.within(coupling, bound)
    value, columns, duals = program.solve()
    plans = columns[: kinds * BLOCKS * hours].reshape(kinds, BLOCKS, hours)
    own, coupled = np.split(duals, [kinds * OWN_ROWS * hours])
    return Optimum(plans, np.maximum(-coupled, 0.0), own.reshape(kinds, -1), value)


def prices(district: District, start: int, hours: int) -> Array:
    """Prices of the window in mean prices, [T]."""
    window: Array = district.price.numpy()[np.arange(start, start + hours) % district.hours]
    return window / district.mean_price


def highest_price(district: District) -> float:
    """Highest price of the calendar in mean prices: what energy owed at the end costs."""
    return float(district.price.max()) / district.mean_price


def own_program(buildings: Buildings, start: int, hours: int) -> Program:
    """The buildings' own rows and costs, one block of 5T columns and 3T rows after the other."""
    district = buildings.district
    demand, solar = district.demand(start, hours).numpy(), district.solar(start, hours).numpy()
    bounds, blocks = [], []
    for k in range(len(buildings.weight)):
        blocks.append(sparse.vstack(own_rows(float(district.efficiency[k]), hours), format="csr"))
        bounds.append(own_bounds(district, k, demand[k], solar[k]))
    top, low, high = (np.concatenate(parts) for parts in zip(*bounds, strict=True))
    cost = own_cost(buildings, start, hours, district.delay_price)
    return Program(cost, top, sparse.block_diag(blocks, format="csr"), low, high)


def own_cost(buildings: Buildings, start: int, hours: int, delay_price: float) -> Array:
    """What a unit of each variable costs, [5T·K] mean prices: import, load that waits, and load owed at the end."""
    district = buildings.district
    cost = np.zeros((BLOCKS, hours))
    cost[GRID] = prices(district, start, hours)
    cost[WAITING] = delay_price
    cost[WAITING, -1] += highest_price(district)
    return np.asarray(np.kron(buildings.weight, cost.ravel()), dtype=np.float64)


def own_rows(efficiency: float, hours: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """What a building's variables must fulfil, with its 5T columns.

    Returns:
        The balances of waiting load and of stored energy, [2T, 5T], and the room that is left to charge, [T, 5T].
    """
    unit, before = sparse.eye_array(hours, format="csr"), sparse.eye_array(hours, k=-1, format="csr")
    none = sparse.csr_array((hours, hours))
    waiting_load = sparse.hstack([unit, unit, none, unit - before, none])
    stored_energy = sparse.hstack([none, unit / efficiency, -unit, none, unit - before])
    room_to_charge = sparse.hstack([none, none, unit, none, before], format="csr")
    return sparse.vstack([waiting_load, stored_energy], format="csr"), room_to_charge


def own_bounds(district: District, k: int, demand: Array, solar: Array) -> tuple[Array, Array, Array]:
    """Most of each variable of building k, [5T], and least and most of each of its rows, [3T], for profiles [T]."""
    power, capacity = float(district.battery_kw[k]), float(district.battery_kwh[k])
    connection, charge = float(district.connection_kwh[k]), np.minimum(float(district.efficiency[k]) * solar, power)
    nothing = np.zeros_like(demand)
    free = nothing + np.inf
    top = np.concatenate([nothing + connection, nothing + power, charge, free, nothing + capacity])
    return top, np.concatenate([demand, nothing, -free]), np.concatenate([demand, nothing, nothing + capacity])


def budget_use(buildings: Buildings, rows: BudgetRows, hours: int) -> sparse.csr_array:
    """What the variables of all buildings use in the budget rows, [R, 5T·K]."""
    blocks = [_budget_block(rows, buildings.member[:, k], hours) * n for k, n in enumerate(buildings.weight)]
    return sparse.hstack(blocks, format="csr")


def _budget_block(rows: BudgetRows, member: NDArray[np.bool_], hours: int) -> sparse.csr_array:
    """Coefficients of one building in the budget rows, [R, 5T]: its import, and its share of the debt."""
    n_rows = len(rows.limit)
    last = (np.arange(n_rows), np.full(n_rows, hours - 1))
    debt = sparse.csr_array((rows.count / hours, last), shape=(n_rows, hours))
    empty = sparse.csr_array((n_rows, hours))
    counted = sparse.diags_array(member[rows.budget].astype(np.float64), format="csr")
    return counted @ sparse.hstack([rows.hours, empty, empty, debt, empty], format="csr")


@dataclass(frozen=True)
class Program:
    """Minimise cost·x subject to low ≤ matrix·x ≤ high and bottom ≤ x ≤ top."""

    cost: Array
    top: Array
    matrix: sparse.csr_array
    low: Array
    high: Array
    bottom: Array | float = 0.0

    def within(self, matrix: sparse.csr_array, high: Array) -> Program:
        """The same program with the rows matrix·x ≤ high at the end."""
        low = np.concatenate([self.low, np.full(len(high), -np.inf)])
        every = sparse.vstack([self.matrix, matrix], format="csr")
        return replace(self, matrix=every, low=low, high=np.concatenate([self.high, high]))

    def scaled_within(self, matrix: sparse.csr_array, high: Array) -> Program:
        """The least z such that some x has matrix·x ≤ z·high; z is one more variable."""
        empty = sparse.csr_array((len(self.low), 1))
        own = sparse.hstack([self.matrix, empty], format="csr")
        cost, bottom = np.append(np.zeros_like(self.cost), 1.0), np.append(np.full_like(self.top, self.bottom), 0.0)
        wider = Program(cost, np.append(self.top, np.inf), own, self.low, self.high, bottom)
        column = sparse.csr_array(-high[:, None])
        return wider.within(sparse.hstack([matrix, column], format="csr"), np.zeros_like(high))

    def solve(self) -> tuple[float, Array, Array]:
        """The least cost, the variables and the rows' dual values."""
        return solved(self.load())

    def least(self) -> float:
        """The least cost alone: where many optima slow the simplex, the interior point is several times as fast."""
        solver = self.load()
        solver.setOptionValue("solver", "ipx")
        return solved(solver)[0]

    def load(self) -> highspy.Highs:
        """A solver that holds the program."""
        matrix = self.matrix.tocsc()
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = matrix.shape
        model.col_cost_, model.col_upper_ = self.cost, self.top
        model.col_lower_ = np.full_like(self.top, self.bottom)
        model.row_lower_, model.row_upper_ = self.low, self.high
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        solver = highspy.Highs()
        solver.setOptionValue("output_flag", False)
        # The interior point is slower here, and a vertex has exact multipliers.
        solver.setOptionValue("solver", "simplex")
        if (taken := solver.passModel(model)) == highspy.HighsStatus.kError:
            raise RuntimeError(f"HiGHS did not take the program: {taken}")
        return solver


def solved(solver: highspy.Highs) -> tuple[float, Array, Array]:
    """Solve what a solver holds; the least cost, the variables and the rows' dual values.

    Raises:
        RuntimeError: there is no optimum, or HiGHS did not find it.
    """
    solver.run()
    status = solver.getModelStatus()
    if status != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS ended with '{solver.modelStatusToString(status)}'")
    found = solver.getSolution()
    value = float(solver.getInfo().objective_function_value)
    return value, np.array(found.col_value), np.array(found.row_dual)
