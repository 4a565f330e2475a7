"""Parametric plans of demand response as value functions: V(s), Q(s, a) and how they depend on the parameters.

A plan is that of `control.mpc`: least cost of the coming hours while each budget's use stays within its account but at
`OVERDRAFT_PRICE`. Its parameters correct what buildings expect and what they aim at:

    demand_i, solar_i    factors on what building i expects, but for the present hour
    aim_k                share of budget k that is planned with

The plan of the next hour, V(s⁺), ends when that of Q(s, a) does: it is an hour shorter, and what comes afterwards is
the same in both. A plan of a fixed length would take the cost of the hour that is new in it for an error.
Q(s, a) fixes what is served from grid and battery in the present hour. By the envelope theorem derivatives are those of
the Lagrangian. For given prices of the budgets V and Q are sums of the buildings' own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from accord.baselines.control.forecast import Coming
from accord.baselines.control.mpc import HELD_SHARE, OVERDRAFT_PRICE, PlanConfig, discounts, own_program
from accord.baselines.control.plan_learning import Best, Values
from accord.envs.districts.district import District
from accord.envs.optimum.sparse_program import (
    BATTERY,
    BLOCKS,
    CHARGE,
    GRID,
    OWN_ROWS,
    Program,
    solved,
)
from accord.envs.task import TaskSpec

Array = NDArray[np.float64]
ROUNDING = 1e-6  # the plant is float32: what it served may be that much more than there was


@dataclass(frozen=True)
class PlanParameters:
    """What may be learned of N buildings' plans with m budgets; see the module.

    Attributes:
        demand, solar: Of each building, [N].
        aim: Of each budget, [m].
    """

    demand: Array
    solar: Array
    aim: Array

    @classmethod
    def plain(cls, agents: int, budgets: int) -> PlanParameters:
        """A plan that nothing was learned for."""
        one = np.ones(agents)
        return cls(one, one, np.ones(budgets))

    @property
    def vector(self) -> Array:
        """All numbers in the order of the attributes, [2N + m]."""
        return np.concatenate([getattr(self, f.name) for f in fields(self)])

    def with_vector(self, vector: Array) -> PlanParameters:
        """The parameters of these numbers, each within `ALLOWED`; see `vector`."""
        ends = np.cumsum([len(getattr(self, f.name)) for f in fields(self)])[:-1]
        parts = zip(fields(self), np.split(vector, ends), strict=True)
        return replace(self, **{f.name: part.clip(*ALLOWED[f.name]) for f, part in parts})


ALLOWED = {
    "demand": (0.5, 1.5),
    "solar": (0.5, 1.5),
    "aim": (0.9, 1.0),
}


@dataclass(frozen=True)
class PlanState:
    """What a plan is made from.

    Attributes:
        coming: What the coming T hours are taken to bring; price [T].
        active: Which budgets count when, [m, T].
        waiting: Load that waits, [N] kWh.
        stored: Stored energy, [N] kWh.
        account: What each budget has left from before, [m] kWh.
        later: What load that waits after the plan costs each building, [N] mean prices.
    """

    coming: Coming
    active: Array
    waiting: Array
    stored: Array
    account: Array
    later: Array

    @property
    def vector(self) -> Array:
        """All numbers."""
        parts = [self.coming.demand, self.coming.solar, self.coming.price, self.active]
        parts += [self.waiting, self.stored, self.account, self.later]
        return np.concatenate([part.ravel() for part in parts])

    def shorter(self, later: Array) -> PlanState:
        """The same without the last hour, which was not in the plan before; that plan's value of waiting load, [N]."""
        coming = Coming(self.coming.demand[:, :-1], self.coming.solar[:, :-1], self.coming.price[:-1])
        return replace(self, coming=coming, active=self.active[:, :-1], later=later)


class PlanValues(Values):
    """V and Q of a district's plans; states are `PlanState.vector`, actions grid and battery service, [2N] kWh."""

    def __init__(self, config: PlanConfig, district: District, spec: TaskSpec) -> None:
        """Begin with plain parameters."""
        self.parameters = PlanParameters.plain(spec.n_agents, len(spec.budgets))
        self._config, self._district = config, district
        self._limit = config.aim * spec.limits.double().numpy()
        self._members = spec.members.double().expand(spec.n_agents, -1).numpy()
        self._rows: dict[bytes, sparse.csr_array] = {}

    @property
    def vector(self) -> Array:
        """See `PlanParameters.vector`."""
        return self.parameters.vector

    @property
    def discount(self) -> float:
        """Of an hour, as in the plans."""
        return float(discounts(self._config.gamma, self._district, 2)[1])

    def take(self, vector: Array) -> None:
        """See `PlanParameters.with_vector`."""
        self.parameters = self.parameters.with_vector(vector)

    def best(self, state: Array, action: Array | None = None) -> Best:
        """The least cost, its plan and its derivatives."""
        at = self._state(state)
        program = self._program(at)
        n, hours = len(at.waiting), at.active.shape[1]
        if action is not None:
            first = np.arange(n)[:, None] * BLOCKS * hours + np.array([GRID, BATTERY]) * hours
            bottom, top = np.zeros_like(program.top), program.top.copy()
            bottom[first.T.ravel()] = top[first.T.ravel()] = (1 - ROUNDING) * action
            program = replace(program, bottom=bottom, top=top)
        solver = program.load()
        value, columns, rows = solved(solver)
        reduced = np.array(solver.getSolution().col_dual)
        plans, of_columns = (x[: n * BLOCKS * hours].reshape(n, BLOCKS, hours) for x in (columns, reduced))
        own = rows[: n * OWN_ROWS * hours].reshape(n, OWN_ROWS, hours)
        of_budgets = rows[n * OWN_ROWS * hours :]
        gradient = self._gradient(at, own, of_columns, of_budgets)
        return Best(
            value,
            plans[:, [GRID, BATTERY], 0].T.ravel().clip(0.0),
            gradient,
            np.minimum(-of_budgets, OVERDRAFT_PRICE).clip(0.0),
        )

    def _state(self, vector: Array) -> PlanState:
        n, m = len(self._members), len(self._limit)
        hours = (len(vector) - 3 * n - m) // (2 * n + m + 1)
        ends = np.cumsum([n * hours, n * hours, hours, m * hours, n, n, m])
        demand, solar, price, active, waiting, stored, account, later = np.split(vector, ends)
        coming = Coming(demand.reshape(n, -1), solar.reshape(n, -1), price)
        return PlanState(coming, active.reshape(m, -1), waiting, stored, account, later)

    def _program(self, at: PlanState) -> Program:
        """Of all buildings, with what each budget is overdrawn by as columns behind theirs."""
        theta, m = self.parameters, len(self._limit)
        coming = corrected(at.coming, theta)
        parts = [
            own_program(
                self._district,
                i,
                coming.of(i),
                self._config.gamma,
                (float(at.later[i]), float(HELD_SHARE * at.later[i])),
                float(at.waiting[i]),
                float(at.stored[i]),
            )
            for i in range(len(at.waiting))
        ]
        if (key := at.active.tobytes()) not in self._rows:
            own = sparse.block_diag([part.matrix for part in parts], format="csr")
            first = np.eye(1, BLOCKS, GRID)
            use = [np.kron(first, self._members[i, :, None] * at.active) for i in range(len(parts))]
            padded = sparse.hstack([own, sparse.csr_array((own.shape[0], m))], format="csr")
            within = sparse.csr_array(np.concatenate([*use, -np.eye(m)], 1))
            self._rows[key] = sparse.vstack([padded, within], format="csr")
        granted = at.account + theta.aim * self._limit * at.active.sum(1)
        return Program(
            np.concatenate([*(part.cost for part in parts), np.full(m, OVERDRAFT_PRICE)]),
            np.concatenate([*(part.top for part in parts), np.full(m, np.inf)]),
            self._rows[key],
            np.concatenate([*(part.low for part in parts), np.full(m, -np.inf)]),
            np.concatenate([*(part.high for part in parts), granted]),
        )

    def _gradient(self, at: PlanState, own: Array, reduced: Array, budgets: Array) -> Array:
        """Derivative of the least cost by `PlanParameters.vector`.

        Args:
            at: The state.
            own: Dual values of the buildings' own rows, [N, OWN_ROWS, T].
            reduced: Reduced costs, [N, BLOCKS, T].
            budgets: Dual values of the budgets' rows, [m].
        """
        district, theta = self._district, self.parameters
        efficiency = district.efficiency.double().numpy()
        power = district.battery_kw.double().numpy()
        gain = efficiency[:, None] * at.coming.solar
        # A battery charges as fast as the sun shines, unless its power is less.
        by_sun = np.where(theta.solar[:, None] * gain < power[:, None], np.minimum(reduced[:, CHARGE], 0.0) * gain, 0.0)
        parts = [
            (own[:, 0] * at.coming.demand)[:, 1:].sum(1),
            by_sun[:, 1:].sum(1),
            budgets * self._limit * at.active.sum(1),
        ]
        return np.concatenate(parts)


def corrected(coming: Coming, parameters: PlanParameters) -> Coming:
    """What buildings expect after the factors on it, but for the present hour; profiles are [..., N, T]."""
    demand, solar = coming.demand.copy(), coming.solar.copy()
    demand[..., 1:] *= parameters.demand[:, None]
    solar[..., 1:] *= parameters.solar[:, None]
    return Coming(demand, solar, coming.price)
