"""Receding horizon with one day of foresight: how much of a gap to the oracle is knowledge of the future.

A central planner that knows demand and solar of the coming 24 hours exactly, takes the day after to be like
them, solves a linear programme every hour and carries out its first hour. Budgets are kept as running
accounts: what was left unused so far may be used later, up to a share of one hour's limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import linprog
from scipy.sparse import block_array, block_diag, csr_array, eye_array, hstack
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, ModelView, RolloutStart
from accord.baselines.registry import register
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.optimum.sparse_program import BLOCKS, own_bounds, own_rows
from accord.envs.task import Step, Task, TaskSpec

Array = NDArray[np.float64]

KNOWN = 24  # hours
HELD_SHARE = 0.5  # of what load costs then, for energy still stored when the plan ends
OVERDRAFT_PRICE = 20.0  # mean prices per kWh over a budget's account: above any price that serves a load


class LookaheadConfig(MethodConfig):
    """Settings of the planner."""

    horizon: int = Field(48, ge=24, description="Hours planned; the second day repeats the first.")
    """Unit: h."""
    carry: float = Field(0.5, ge=0, description="Unused budget that may be carried on, in hours of its limit.")
    """Unit: h."""
    memory: float = Field(0.99, ge=0, lt=1, description="Decay per hour of the average of the budgets' prices.")


@register("lookahead", "everything, demand and solar 24 h ahead")
class Lookahead(Method):
    """A central plan with 24 hours of perfect forecast, solved anew every hour."""

    config_type = LookaheadConfig
    privileged = True
    config: LookaheadConfig

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """The planner."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method lookahead: task '{task.spec.name}' is not demand response")
        return _Planner(self.config)


class _Planner(Controller):
    decentralised = False
    privileged = True

    def __init__(self, config: LookaheadConfig) -> None:
        self._config = config

    def reset(self, start: RolloutStart) -> None:
        """Begin with balanced accounts."""
        super().reset(start)
        if start.batch != 1:
            raise ValueError("the lookahead planner plans for a single copy")
        self.change(start.spec, start.model)
        self._account = np.zeros(len(self._limit))
        self._price = np.zeros(len(self._limit))

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """Plan with the new budgets and tariff; accounts and prices stay."""
        super().change(spec, model)
        if model is None:
            raise ValueError("the lookahead planner needs a model view")
        self._task = cast(DemandResponse, model.task)
        self._limit = spec.limits.double().numpy()
        self._members = spec.members.double().expand(spec.n_agents, -1).numpy()

    def act(self, step: Step) -> Tensor:
        """The first hour of the plan, as shares of the load."""
        view = self._task.forecast(KNOWN)
        days = -(-self._config.horizon // KNOWN)
        window = {name: np.tile(values, days)[..., : self._config.horizon] for name, values in view.items()}
        active = np.tile(step.active[0].double().numpy().T, days)[:, : self._config.horizon]  # [m, T]
        grid, battery = self._plan(window, active)
        load = window["demand"][:, 0] + view["waiting_load"][:, 0]
        rest = np.maximum(load - battery, 1e-9)
        shares = np.stack([battery / np.maximum(load, 1e-9), grid / rest], -1)
        return torch.from_numpy(shares).float().clamp(0.0, 1.0)[None]

    def feedback(self, step: Step) -> None:
        """Book what was used."""
        counted = step.counted[0].double().numpy()
        used = (self._members * step.usage[0, :, :1].double().numpy()).sum(0)
        booked = self._account + counted * (self._limit - used)
        self._account = np.minimum(booked, self._config.carry * self._limit)

    def _plan(self, window: dict[str, Array], active: Array) -> tuple[Array, Array]:
        """Import and battery service of the first hour, each [N] kWh."""
        district = self._task.district
        n_agents, hours = window["demand"].shape
        tariff = window["price"] / district.mean_price
        # What still waits, or is still stored, when the plan ends is worth the cheapest hour of a day.
        later = float((tariff + active.T @ self._price)[:KNOWN].min())
        parts = [self._building(i, window, tariff, later) for i in range(n_agents)]
        kept = active.sum(1) > 0
        count = int(kept.sum())
        imports = np.concatenate([active[kept], np.zeros((count, (BLOCKS - 1) * hours))], 1)
        budgets = [csr_array(self._members[i, kept, None] * imports) for i in range(n_agents)]
        below = block_array([[block_diag([p.below for p in parts]), None], [hstack(budgets), -eye_array(count)]])
        equal = hstack([block_diag([p.equal for p in parts]), csr_array((2 * n_agents * hours, count))])
        tops = np.concatenate([*(p.top for p in parts), np.full(count, np.inf)])
        found = linprog(
            np.concatenate([*(p.cost for p in parts), np.full(count, OVERDRAFT_PRICE)]),
            A_ub=below.tocsr(),
            b_ub=np.concatenate([*(p.room for p in parts), (self._account + self._limit * active.sum(1))[kept]]),
            A_eq=equal.tocsr(),
            b_eq=np.concatenate([p.right for p in parts]),
            bounds=[(0.0, float(top)) for top in tops],
            method="highs",
        )
        if found.x is None:
            raise RuntimeError(f"the hour's plan has no solution: {found.message}")
        price = np.zeros_like(self._price)
        price[kept] = np.minimum(-found.ineqlin.marginals[n_agents * hours :], OVERDRAFT_PRICE)
        self._price = self._config.memory * self._price + (1 - self._config.memory) * price
        plan = found.x[: n_agents * BLOCKS * hours].reshape(n_agents, BLOCKS, hours)
        return plan[:, 0, 0], plan[:, 1, 0]

    def _building(self, i: int, window: dict[str, Array], tariff: Array, later: float) -> _Rows:
        """One building's part; its columns are import, battery service, charge, waiting and stored, hour by hour."""
        district, hours = self._task.district, len(tariff)
        efficiency, capacity = float(district.efficiency[i]), float(district.battery_kwh[i])
        equal, below = own_rows(efficiency, hours)
        top, _, _ = own_bounds(district, i, window["demand"][i], window["solar"][i])
        first, last = np.eye(1, hours)[0], np.eye(1, hours, hours - 1)[0]
        # The plant is float32: a full battery may be a rounding above its capacity, which no plan would allow.
        waiting, stored = first * window["waiting_load"][i, 0], first * min(window["stored"][i, 0], capacity)
        free = np.zeros(hours)
        held = HELD_SHARE * efficiency * later
        return _Rows(
            cost=np.concatenate([tariff, free, free, district.delay_price + later * last, -held * last]),
            top=top,
            equal=equal,
            right=np.concatenate([window["demand"][i] + waiting, stored]),
            below=below,
            room=capacity - stored,
        )


@dataclass(frozen=True)
class _Rows:
    """cost·x, 0 ≤ x ≤ top, equal·x = right, below·x ≤ room of one building."""

    cost: Array
    top: Array
    equal: Any
    right: Array
    below: Any
    room: Array
