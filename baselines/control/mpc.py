"""Model predictive control: a central plan over the coming hours, made anew every hour, its first hour carried out.

The planner knows the buildings, the tariff and what every battery and queue holds now. What demand and sun will be it
takes from a forecast: exact, exact for a day that then repeats, or persistence, which looks at what was metered so far
and is no knowledge of the future. `lookahead` knows a day. Budgets are kept as running accounts: what was left unused
so far may be used later, up to some hours' worth of the limit, and what was used above it is owed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import highspy
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, ModelView, RolloutStart
from accord.baselines.control.forecast import DAY, WEEK, Coming, persistence
from accord.baselines.registry import register
from accord.envs.demand_response import DemandResponse
from accord.envs.districts.district import District
from accord.envs.errors import UsageError
from accord.envs.optimum.sparse_program import (
    BATTERY,
    BLOCKS,
    GRID,
    OWN_ROWS,
    STORED,
    WAITING,
    Program,
    kinds,
    own_bounds,
    own_rows,
    solved,
)
from accord.envs.task import Step, Task, TaskSpec

Array = NDArray[np.float64]
Forecasts = Literal["perfect", "perfect_day_repeated", "persistence"]

HELD_SHARE = 0.5  # of what load costs then, for energy still stored when the plan ends
OVERDRAFT_PRICE = 20.0  # mean prices per kWh over a budget's account: above any price that serves a load
SEED = 2**16 + 3  # of the noise of forecasts


class PlanConfig(MethodConfig):
    """Settings of every plan, central or not."""

    horizon: int = Field(48, ge=24, le=24 * 31, description="Hours planned.")
    """Unit: h."""
    carry: float = Field(0.5, ge=0, description="Unused budget that may be carried on, in hours of its limit.")
    """Unit: h."""
    aim: float = Field(1.0, gt=0, le=1, description="Share of the budgets that is planned with.")
    gamma: float = Field(
        0.999,
        gt=0,
        le=1,
        description="Discount per hour, a premium where delay is free: it decides between equal plans.",
    )


class MpcConfig(PlanConfig):
    """Settings of the planner."""

    forecast: Forecasts = Field(
        "persistence",
        description=(
            "persistence: the demand of the same hour a week ago, the sun of the same hour of the last day. perfect: "
            "what will be. perfect_day_repeated: what will be in the coming day, and the same again."
        ),
    )
    noise: float = Field(0.0, ge=0, le=10, description="Standard deviation of the forecast's relative errors.")
    memory: float = Field(0.99, ge=0, lt=1, description="Decay per hour of the average of the budgets' prices.")


@register("mpc", "everything now and before, and the model; what comes by `forecast`")
@register("lookahead", "everything, demand and solar 24 h ahead", forecast="perfect_day_repeated")
class Mpc(Method):
    """A central plan by linear programme, made anew every hour from a forecast."""

    config_type = MpcConfig
    privileged = on_processor = True
    config: MpcConfig

    @property
    def needs(self) -> tuple[str, ...]:
        """Persistence knows the past alone."""
        return ("model",) if self.config.forecast == "persistence" else ("model", "foresight")

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """The planner."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method mpc or lookahead: task '{task.spec.name}' is not demand response")
        return Planner(self.config)


def coming_hours(district: District, now: int, config: MpcConfig, noise: np.random.Generator) -> Coming:
    """The forecast at an hour of the calendar. The tariff of a day is known; later ones are taken to be like it.

    Args:
        district: Whose.
        now: The present hour, whose demand and sun are known.
        config: `forecast`, `noise` and `horizon`.
        noise: Of relative errors in what is not known.
    """
    ahead = np.arange(config.horizon)
    known = ahead if config.forecast == "perfect" else ahead % DAY
    price = district.price.numpy()[(now + known) % district.hours] / district.mean_price
    if config.forecast == "persistence":
        # Nothing later than now is looked at, and before its first hour a calendar holds what ends the year.
        first = max(0, now - WEEK)
        metered = [profile(first, now - first + 1).double().numpy() for profile in (district.demand, district.solar)]
        demand, solar = persistence(metered[0], metered[1], ahead)
    else:
        length = int(known.max()) + 1
        demand, solar = (
            profile(now, length).double().numpy()[:, known] for profile in (district.demand, district.solar)
        )
    if config.noise:
        errors = 1 + config.noise * noise.standard_normal((2, *demand.shape))
        errors[:, :, 0] = 1.0
        demand, solar = demand * errors[0].clip(0.0), solar * errors[1].clip(0.0)
    return Coming(demand, solar, price)


class Planner(Controller):
    """Carries out the first hour of a plan."""

    decentralised = False
    privileged = True

    def __init__(self, config: MpcConfig) -> None:
        self._config = config

    def reset(self, start: RolloutStart) -> None:
        """Begin with balanced accounts."""
        super().reset(start)
        if start.batch != 1:
            raise ValueError("the planner plans for a single copy")
        self._noise = np.random.default_rng(SEED)
        self.change(start.spec, start.model)
        self._account, self._price = np.zeros_like(self._limit), np.zeros_like(self._limit)

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """Plan with the new budgets and tariff; accounts and prices stay."""
        super().change(spec, model)
        if model is None:
            raise ValueError("the planner needs a model view")
        self._task = cast(DemandResponse, model.task)
        self._limit = self._config.aim * spec.limits.double().numpy()
        self._members = spec.members.double().expand(spec.n_agents, -1).numpy()
        self._kind = kinds(self._task.district, spec.budgets)[1]
        self._basis: _Basis | None = None

    def act(self, step: Step) -> Tensor:
        """The first hour of the plan, as shares of the load."""
        view, config = self._task.forecast(1), self._config
        coming = coming_hours(self._task.district, self._task.hour_of_calendar, config, self._noise)
        repeats = -(-config.horizon // step.active.shape[1])
        active = np.tile(step.active[0].double().numpy().T, repeats)[:, : config.horizon]  # [m, T]
        waiting, stored = view["waiting_load"][:, 0], view["stored"][:, 0]
        # Buildings that are alike and hold the same do the same.
        states = np.stack([self._kind, waiting, stored], 1)
        _, first, group, count = np.unique(states, axis=0, return_index=True, return_inverse=True, return_counts=True)
        plan = self._plan(first, count, coming, active, waiting[first], stored[first])[group.ravel()]
        grid, battery = plan[:, GRID, 0], plan[:, BATTERY, 0]
        load = coming.demand[:, 0] + waiting
        shares = np.stack([battery / np.maximum(load, 1e-9), grid / np.maximum(load - battery, 1e-9)], -1)
        return torch.from_numpy(shares).float().clamp(0.0, 1.0)[None]

    def feedback(self, step: Step) -> None:
        """Book what was used."""
        counted = step.counted[0].double().numpy()
        used = (self._members * step.usage[0, :, :1].double().numpy()).sum(0)
        booked = self._account + counted * (self._limit - used)
        self._account = np.minimum(booked, self._config.carry * self._limit)

    def _plan(
        self,
        first: NDArray[np.intp],
        count: NDArray[np.intp],
        coming: Coming,
        active: Array,
        waiting: Array,
        stored: Array,
    ) -> Array:
        """Every variable of one building of each sort, [K, BLOCKS, T] kWh.

        Args:
            first: One building of each sort, [K].
            count: How many there are of each, [K].
            coming: What is expected.
            active: Which budgets count when, [m, T].
            waiting: Load that waits now, [K].
            stored: Energy that is stored now, [K].
        """
        hours, kept = active.shape[1], active.sum(1) > 0
        # What still waits, or is still stored, when the plan ends is worth the cheapest hour of a day.
        later = [(coming.price + active.T @ (self._members[i] * self._price))[:DAY].min() for i in first]
        district, gamma = self._task.district, self._config.gamma
        parts = [
            own_program(district, int(i), coming.of(i), gamma, (end, HELD_SHARE * end), float(w), float(s))
            for i, end, w, s in zip(first, map(float, later), waiting, stored, strict=True)
        ]
        own = Program(
            np.concatenate([n * part.cost for n, part in zip(count, parts, strict=True)]),
            np.concatenate([part.top for part in parts]),
            sparse.block_diag([part.matrix for part in parts], format="csr"),
            np.concatenate([part.low for part in parts]),
            np.concatenate([part.high for part in parts]),
        )
        program = _with_accounts(
            own,
            [
                np.kron(np.eye(1, BLOCKS, GRID), n * self._members[i, kept, None] * active[kept])
                for i, n in zip(first, count, strict=True)
            ],
            (self._account + self._limit * active.sum(1))[kept],
        )
        solver = program.load()
        if self._basis is not None and self._basis.sorts == len(first) and self._basis.hours == hours:
            self._basis.start(solver)
        _, columns, duals = solved(solver)
        self._basis = _Basis.shifted(solver, len(first), hours)
        price = np.zeros_like(self._price)
        price[kept] = np.minimum(-duals[len(first) * OWN_ROWS * hours :], OVERDRAFT_PRICE)
        self._price = self._config.memory * self._price + (1 - self._config.memory) * price
        return np.asarray(columns[: len(first) * BLOCKS * hours]).reshape(len(first), BLOCKS, hours)


def own_program(
    district: District,
    i: int,
    coming: Coming,
    gamma: float,
    later: tuple[float, float],
    waiting: float,
    stored: float,
) -> Program:
    """One building's own part of a plan.

    Args:
        district: Whose building it is.
        i: Its number.
        coming: What it expects, see `Coming.of`.
        gamma: Discount per hour.
        later: What a unit of load that waits costs when the plan ends, and what a unit that the battery could serve is
            worth, mean prices.
        waiting: Its load that waits now, kWh.
        stored: Its energy that is stored now, kWh.
    """
    hours = len(coming.price)
    efficiency, capacity = float(district.efficiency[i]), float(district.battery_kwh[i])
    stored = min(stored, capacity)  # the plant is float32: a full battery may be a rounding above its capacity
    top, low, high = own_bounds(district, i, coming.demand, coming.solar)
    for row, value in ((0, waiting), (hours, stored)):
        low[row] += value
        high[row] += value
    high[2 * hours] -= stored
    cost = np.zeros((BLOCKS, hours))
    cost[GRID], cost[WAITING] = coming.price, district.delay_price
    cost[WAITING, -1] += later[0]
    cost[STORED, -1] = -later[1] * efficiency
    cost *= discounts(gamma, district, hours)
    return Program(cost.ravel(), top, _own_matrix(efficiency, hours), low, high)


def discounts(gamma: float, district: District, hours: int) -> Array:
    """What the costs of each planned hour are multiplied by, [T].

    Where delay is free, a plan that would rather pay later never pays: there it would rather pay now.
    """
    return np.asarray((gamma if district.delay_price > 0 else 1 / gamma) ** np.arange(hours), dtype=np.float64)


@cache
def _own_matrix(efficiency: float, hours: int) -> sparse.csr_array:
    """Every hour's programs share it."""
    return sparse.vstack(own_rows(efficiency, hours), format="csr")


def _with_accounts(own: Program, use: Sequence[Array], room: Array) -> Program:
    """The program in which what is used of each budget is at most its account, but at `OVERDRAFT_PRICE` beyond it."""
    count = len(room)
    wider = Program(
        np.concatenate([own.cost, np.full(count, OVERDRAFT_PRICE)]),
        np.concatenate([own.top, np.full(count, np.inf)]),
        sparse.hstack([own.matrix, sparse.csr_array((len(own.low), count))], format="csr"),
        own.low,
        own.high,
    )
    return wider.within(sparse.csr_array(np.concatenate([*use, -np.eye(count)], 1)), room)


@dataclass(frozen=True)
class _Basis:
    """Where the next hour's simplex begins: this hour's basis, an hour on."""

    sorts: int
    hours: int
    columns: list[highspy.HighsBasisStatus]
    rows: list[highspy.HighsBasisStatus]

    @classmethod
    def shifted(cls, solver: highspy.Highs, sorts: int, hours: int) -> _Basis:
        """Of a solved program."""
        found = solver.getBasis()
        columns, rows = list(found.col_status), list(found.row_status)
        for values, blocks in ((columns, BLOCKS), (rows, OWN_ROWS)):
            for begin in range(0, sorts * blocks * hours, hours):
                values[begin : begin + hours - 1] = values[begin + 1 : begin + hours]
        return cls(sorts, hours, columns, rows)

    def start(self, solver: highspy.Highs) -> None:
        """Hand it to a solver that holds a program of the same size; one that does not fit is repaired by HiGHS."""
        if len(self.columns) == solver.getNumCol() and len(self.rows) == solver.getNumRow():
            basis = highspy.HighsBasis()
            basis.col_status, basis.row_status, basis.valid = self.columns, self.rows, True
            solver.setBasis(basis)
