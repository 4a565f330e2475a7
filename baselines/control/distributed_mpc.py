"""Distributed model predictive control: every building plans for itself, and neighbours agree on the budgets' prices.

The plan is that of `control.mpc`: minimise Σ_i c_i·x_i over each building's own rows, while the use of each budget in
the coming hours, Σ_i A_i·x_i, stays within its account but at `OVERDRAFT_PRICE`. Two ways to share it out:

*admm*, sharing (Boyd et al., "Distributed optimization and statistical learning via ADMM", 2011, section 7.3), with ū
the mean of A_i·x_i and y the scaled price, all [m]:

    x_i ← argmin c_i·x + ρ/2·‖A_i·x − (A_i·x_i − ū + z − y)‖²
    z   ← argmin of what an overdraft costs + ρ/2·N·‖z − ū − y‖²
    y   ← y + ū − z

*dual*, dual decomposition: each minimises (c_i + A_iᵀλ)·x, λ rises by β times the excess over the account, and what is
carried out is the mean of an hour's plans, since each alone is all or nothing.

The mean ū is exact, by a central node, or followed by gossip: each adds the change of its own use to its estimate, and
averages with neighbours (dynamic average consensus); accounts and prices are averaged along with it. A building sees
its own observation and knows its own equipment; what it expects is last week's demand and yesterday's sun, of its own
meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import clarabel
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from torch import Tensor

from accord.baselines.base import Controller, Method, RolloutStart
from accord.baselines.control.forecast import DAY, WEEK, Coming, persistence
from accord.baselines.control.mpc import HELD_SHARE, OVERDRAFT_PRICE, PlanConfig, own_program
from accord.baselines.control.plan_values import PlanParameters, corrected
from accord.baselines.registry import register
from accord.envs.demand_response import DemandResponse
from accord.envs.districts.district import District
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.optimum.sparse_program import BATTERY, BLOCKS, GRID, Program
from accord.envs.task import Step, Task, TaskSpec

Array = NDArray[np.float64]
SOLVED = (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved)


class DistributedMpcConfig(PlanConfig):
    """Settings of the plans and of the negotiation."""

    negotiation: Literal["admm", "dual"] = Field("admm", description="How the budgets' prices are found.")
    average: Literal["gossip", "exact"] = Field("gossip", description="Who averages: neighbours, or a central node.")
    rounds: int = Field(1, ge=1, le=100, description="Rounds of negotiation an hour.")
    gossip: int = Field(1, ge=1, le=100, description="Rounds of messages in each of these.")
    rho: float = Field(0.01, gt=0, description="admm: weight of the distance to what is agreed, mean prices per kWh.")
    beta: float = Field(
        0.05, gt=0, description="dual: step of λ, mean prices per share of the account that is exceeded."
    )


@register("distributed_mpc", "own observation, past and equipment; the budgets' use and prices from neighbours")
class DistributedMpc(Method):
    """Buildings that plan for themselves and negotiate the prices of the budgets."""

    config_type = DistributedMpcConfig
    on_processor = True
    config: DistributedMpcConfig

    @property
    def needs(self) -> tuple[str, ...]:
        """The buildings' equipment."""
        return ("model",)

    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """The buildings' planners."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method distributed_mpc: task '{task.spec.name}' is not demand response")
        return Negotiators(self.config, task.district)


class Negotiators(Controller):
    """All buildings' planners, each with its own numbers.

    Estimates, accounts and prices are [B, N, m], per building: kWh of a mean building's use, and mean prices.
    """

    def __init__(self, config: DistributedMpcConfig, district: District, learned: PlanParameters | None = None) -> None:
        """Set up, with plain plans unless something was learned."""
        self._config, self._district, self.learned = config, district, learned
        self.decentralised = config.average == "gossip"
        self.rounds = config.rounds * config.gossip

    def reset(self, start: RolloutStart) -> None:
        """Begin with balanced accounts and no past."""
        super().reset(start)
        shape = start.batch, start.spec.n_agents
        m = len(start.spec.budgets)
        self._theta = self.learned or PlanParameters.plain(start.spec.n_agents, m)
        self._planners = {at: _Planner(self._district, at[1], self._config, m) for at in np.ndindex(shape)}
        self._meter = Meter(shape)
        self._use, self._mean, self._account, self._price = np.zeros((4, *shape, m))

    def act(self, step: Step) -> Tensor:
        """The first hour of each building's plan, as shares of its load."""
        spec, config = self.spec, self._config
        own = _own_numbers(spec, self._district, step)
        self._meter.read(own.demand, own.solar)
        theta = self._theta
        coming = corrected(self._meter.coming(own.price, config.horizon), theta)
        repeats = -(-config.horizon // step.active.shape[1])
        active = np.tile(step.active.double().numpy().swapaxes(1, 2), repeats)[..., : config.horizon]  # [B, m, T]
        members = spec.members.double().expand(spec.n_agents, -1).numpy()
        later = (coming.price + (members * self._price) @ active)[..., :DAY].min(-1)
        for (copy, i), planner in self._planners.items():
            counted = members[i, :, None] * active[copy]
            at = copy, i
            worth = float(later[at]), float(HELD_SHARE * later[at])
            planner.begin(coming.of(at), counted, worth, float(own.waiting[at]), float(own.stored[at]))
        granted = theta.aim * self._part() * active.sum(-1)[:, None]
        plans = np.stack([self._negotiate(granted) for _ in range(config.rounds)])
        grid, battery = np.moveaxis(plans[-1] if config.negotiation == "admm" else plans.mean(0), -1, 0)
        load = own.demand + own.waiting
        shares = np.stack([battery / np.maximum(load, 1e-9), grid / np.maximum(load - battery, 1e-9)], -1)
        return torch.from_numpy(shares).float().clamp(0.0, 1.0)

    def feedback(self, step: Step) -> None:
        """Book one's own use; accounts are averaged with the next message."""
        counted, members = step.counted.double().numpy()[:, None], self.spec.members.double().numpy()
        used = members * step.usage[..., :1].double().numpy()
        part = self._part()
        self._account = np.minimum(self._account + counted * (part - used), self._config.carry * part)

    def diagnostics(self) -> dict[str, Tensor]:
        """The budgets' prices."""
        return {"multipliers": torch.from_numpy(self._price).float()}

    def _part(self) -> Array:
        """Of a mean building in what is planned with of each budget, [m] kWh."""
        return np.asarray(self._config.aim * self.spec.limits.double().numpy() / self.spec.n_agents)

    def _negotiate(self, granted: Array) -> Array:
        """One round: everybody plans, all average, prices move.

        Args:
            granted: A mean building's part of the budgets in the window, beside its account, [B, 1, m] kWh.

        Returns:
            Import and battery service of the present hour, [B, N, 2] kWh.
        """
        config, before = self._config, self._use
        use, first = np.empty_like(before), np.empty((*before.shape[:2], 2))
        scaled = self._mean + self._price / config.rho
        agreed = _within(scaled, self._account + granted, config.rho)
        for at, planner in self._planners.items():
            if config.negotiation == "admm":
                use[at], first[at] = planner.near(before[at] + agreed[at] - scaled[at])
            else:
                use[at], first[at] = planner.at(self._price[at])
        self._use = use
        # Accounts and prices are averaged along: small differences would add up to large ones.
        told = np.concatenate([self._mean + use - before, self._account, self._price], -1)
        heard = _averaged(self.network, torch.from_numpy(told), config).numpy()
        self._mean, self._account, price = np.split(heard, 3, -1)
        room = self._account + granted
        if config.negotiation == "admm":
            scaled = self._mean + price / config.rho
            self._price = config.rho * (scaled - _within(scaled, room, config.rho))
        else:
            over = self._mean / np.maximum(room, 1e-6) - 1
            self._price = (price + config.beta * over).clip(0.0, OVERDRAFT_PRICE)
        return first


def _averaged(network: Network, told: Tensor, config: DistributedMpcConfig) -> Tensor:
    """Of all, or with neighbours."""
    if config.average == "exact":
        return network.mean(told).expand_as(told)
    return network.mix(told, config.gossip)


def _within(wanted: Array, room: Array, rho: float) -> Array:
    """argmin_z of `OVERDRAFT_PRICE`·max(0, z − room) + ρ/2·(z − wanted)²."""
    return np.minimum(wanted, np.maximum(room, wanted - OVERDRAFT_PRICE / rho))


@dataclass(frozen=True)
class OwnNumbers:
    """What buildings read from their observations, in kWh and mean prices.

    Attributes:
        demand, solar, waiting, stored: Now, [B, N].
        price: Tariff of the coming day, [B, N, 24].
    """

    demand: Array
    solar: Array
    waiting: Array
    stored: Array
    price: Array


def _own_numbers(spec: TaskSpec, district: District, step: Step) -> OwnNumbers:
    obs, peak = step.obs.double().numpy(), district.own_peak.double().numpy()
    assert spec.price_field is not None
    price = obs[..., spec.obs_fields[spec.price_field].where]
    demand, solar, waiting, soc = (
        obs[..., spec.obs_fields[name].where][..., 0] for name in ("demand", "solar", "waiting_load", "soc")
    )
    stored = soc * district.battery_kwh.double().numpy()
    return OwnNumbers(demand * peak, solar * peak, np.expm1(waiting) * peak, stored, price)


class Meter:
    """What each building has metered in the last week, and expects by it."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Begin without a past, as many buildings as the shape has."""
        self._read = np.zeros((2, *shape, 0))

    def read(self, demand: Array, solar: Array) -> None:
        """Take in the present hour, kWh each."""
        self._read = np.concatenate([self._read, np.stack([demand, solar])[..., None]], -1)[..., -WEEK - 1 :]

    def coming(self, price: Array, hours: int) -> Coming:
        """What is expected of the coming hours: see `persistence`."""
        ahead = np.arange(hours)
        demand, solar = persistence(self._read[0], self._read[1], ahead)
        return Coming(demand, solar, price[..., ahead % DAY])


class _Planner:
    """One building: its plan near a wanted use of the budgets, or at a price of them."""

    def __init__(self, district: District, i: int, config: DistributedMpcConfig, budgets: int) -> None:
        self._district, self._i, self._config, self._budgets = district, i, config, budgets
        self._settings = clarabel.DefaultSettings()
        self._settings.verbose = False
        self._rows: dict[bytes, sparse.csc_matrix] = {}

    def begin(self, coming: Coming, active: Array, later: tuple[float, float], waiting: float, stored: float) -> None:
        """An hour begins: which budgets count when is [m, T]; for the others see `own_program`."""
        m = self._budgets
        own = own_program(self._district, self._i, coming, self._config.gamma, later, waiting, stored)
        self._hours, self._columns, equal = active.shape[1], len(own.cost), np.isfinite(own.low)
        equal_to = np.concatenate([own.high[equal], np.zeros(m)])
        at_most = np.concatenate([own.high[~equal], own.top[np.isfinite(own.top)], np.zeros(self._columns)])
        # The rows are those of the same hour of another day.
        if (key := active.tobytes()) not in self._rows:
            self._rows[key] = self._rows_of(own, active)
        self._cost = np.concatenate([own.cost, np.zeros(m)])
        weight = self._config.rho if self._config.negotiation == "admm" else 0.0
        curved = sparse.diags_array(np.concatenate([np.zeros(self._columns), np.full(m, weight)]), format="csc")
        cones = [clarabel.ZeroConeT(len(equal_to)), clarabel.NonnegativeConeT(len(at_most))]
        right = np.concatenate([equal_to, at_most])
        quadratic = sparse.csc_matrix(curved)
        self._solver = clarabel.DefaultSolver(quadratic, self._cost, self._rows[key], right, cones, self._settings)

    def _rows_of(self, own: Program, active: Array) -> sparse.csc_matrix:
        """First equalities, then what is at most; the use of each budget is a column of its own, behind the others."""
        m, equal = self._budgets, np.isfinite(own.low)
        use = sparse.csc_array(np.concatenate([active, np.zeros((m, self._columns - self._hours)), -np.eye(m)], 1))
        columns = sparse.eye_array(self._columns, self._columns + m, format="csc")
        padded = sparse.hstack([own.matrix, sparse.csc_array((len(own.low), m))], format="csr")
        rows = [padded[equal], use, padded[~equal], columns[np.isfinite(own.top)], -columns]
        return sparse.csc_matrix(sparse.vstack(rows, format="csc"))

    def near(self, wanted: Array) -> tuple[Array, Array]:
        """The plan whose use of the budgets is drawn to what is wanted, [m] kWh; see `at`."""
        return self.at(-self._config.rho * wanted)

    def at(self, price: Array) -> tuple[Array, Array]:
        """The plan at a price of each budget, [m].

        Returns:
            What it uses of each budget in the window, [m] kWh, and import and battery service now, [2] kWh.

        Raises:
            RuntimeError: the solver did not find it.
        """
        cost = self._cost.copy()
        cost[self._columns :] = price
        self._solver.update(q=cost)
        found = self._solver.solve()
        if found.status not in SOLVED:
            raise RuntimeError(f"building {self._i}: Clarabel ended with {found.status}")
        x = np.array(found.x)
        plan = x[: self._columns].reshape(BLOCKS, self._hours).clip(0.0)
        return x[self._columns :], plan[[GRID, BATTERY], 0]
