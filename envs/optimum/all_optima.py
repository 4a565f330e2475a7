"""What the optima of a program have in common: the least that any of them pays for energy, and its least import peak.

Where delay is free or hours cost the same, many plans are optimal, and it depends on the solver which one it ends at.
By complementary slackness a plan is optimal exactly if it leaves every variable with a reduced cost at its bound and
every row with a dual value too, given the dual values of any one optimum. That is linear, so a second program
minimises over all optima. It has fewer free variables than the first and no row for the objective, which would be dense
and would need an allowance: a millionth of the objective moves the peak of `campus_seven` by a third of a percent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from accord.envs.optimum.sparse_program import (
    BLOCKS,
    GRID,
    Array,
    BudgetRows,
    Buildings,
    Optimum,
    Program,
    budget_use,
    own_cost,
    own_program,
)

# Mean prices per kWh; a reduced cost below it is none. Ten times what HiGHS lets pass for optimal. With the catalogue's
# tariffs the reduced costs are 1e-9 and less, or 1e-3 and more.
NOTHING = 1e-6


@dataclass(frozen=True)
class AllOptima:
    """The optimal plans of K buildings, and what is least over them.

    Attributes:
        buildings: Those that differ.
        rows: The budgets.
        start: First hour of the calendar.
        hours: T.
        one: One of the optima.
    """

    buildings: Buildings
    rows: BudgetRows
    start: int
    hours: int
    one: Optimum

    def least_cost(self) -> float:
        """The least that an optimum pays for energy, owed energy included, $/h."""
        energy = own_cost(self.buildings, self.start, self.hours, delay_price=0.0)
        least = replace(self._program, cost=energy).least() / self.hours
        return least * self.buildings.district.mean_price

    def least_import_peak(self) -> float:
        """The least over optima of the highest import of all buildings together in an hour, kWh."""
        own = sparse.eye_array(self.hours, BLOCKS * self.hours, k=GRID * self.hours)
        imports = sparse.kron(self.buildings.weight[None], own, format="csr")
        return self._program.scaled_within(sparse.csr_array(imports), np.ones(self.hours)).least()

    @cached_property
    def _program(self) -> Program:
        """The program whose every plan is an optimum."""
        program = own_program(self.buildings, self.start, self.hours)
        limit = self.rows.limit * self.rows.count
        whole = program.within(budget_use(self.buildings, self.rows, self.hours), limit)
        duals = np.concatenate([self.one.own_duals.ravel(), -self.one.duals])
        return optimal_face(whole, self.one.plans.ravel(), duals)


def optimal_face(program: Program, columns: Array, duals: Array) -> Program:
    """The program with the optima alone.

    Args:
        program: It must have an optimum.
        columns: Its variables in one.
        duals: Dual values of its rows there.
    """
    rows = program.matrix @ columns
    held, tight = np.abs(program.cost - program.matrix.T @ duals) > NOTHING, np.abs(duals) > NOTHING
    # What is at a bound stays where this optimum has it: that may be beside the bound by a rounding, and so many values
    # held at their very bounds often leave no plan at all.
    return replace(
        program,
        top=np.where(held, columns, np.maximum(program.top, columns)),
        bottom=np.where(held, columns, np.minimum(program.bottom, columns)),
        low=np.where(tight, rows, np.minimum(program.low, rows)),
        high=np.where(tight, rows, np.maximum(program.high, rows)),
    )
