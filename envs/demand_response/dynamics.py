"""Separable demand response: buildings with PV and a battery that share a grid budget.

The task of "Distributed Constrained Multi-Agent Reinforcement Learning with Consensus and Networked
Communication" (Amaya-Corredor, Jonsson and Calvo-Fullana), section 6, with a price of delay, losses and
limits made explicit. In one hour building i with demand d, solar g, waiting load q and stored energy b does

    D   = d + q                              load waiting now
    h   = min(η·g, P, C − b);  b' = b + h    the battery charges from solar, the rest is curtailed
    e_b = min(a_b·D, η·b', P)                served from the battery, first
    e_g = min(a_g·(D − e_b), G)              served from the grid
    q⁺  = D − e_b − e_g;  b⁺ = b' − e_b/η
    r0  = −p·e_g − w·q⁺                      local objective
    u   = e_g                                use of the shared resource
    s   = d − e_g − e_b                      shortfall; Σ_t s = q_T − q_0
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from accord.envs.checks import check_actions, check_plant, check_reset, plant_of
from accord.envs.demand_response.calendar import Calendar
from accord.envs.demand_response.observations import Observations
from accord.envs.districts.district import HOURS, District
from accord.envs.errors import UsageError
from accord.envs.task import Box, Budget, Initial, Step, Task, TaskSpec

BATTERY, GRID = 0, 1  # columns of an action
AT_ONCE, DAYS_AHEAD = 2**15, 4  # most hours of buildings, and days, that are looked up together
PLANT = ("waiting_load", "soc")
UNITS = {
    "import_kwh": "kWh",
    "battery_kwh": "kWh",
    "waiting_load": "kWh",
    "demand": "kWh",
    "solar": "kWh",
    "stored": "kWh",
    "curtailed": "kWh",
    "soc": "kWh",
    "servable": "kWh",
    "price": "$/kWh",
    "carbon": "kg/kWh",
}


class DemandResponse(Task):
    """`B` copies of one district, in float32; see the module for the dynamics.

    Actions [B, N, 2] are the share of the load to serve from the battery and the share of the rest to
    serve from the grid. Numbers outside [0, 1] are clamped, so that an unbounded policy may be used.
    """

    def __init__(
        self,
        district: District,
        budgets: tuple[Budget, ...],
        *,
        tariff_ahead: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        """Build the task.

        Args:
            district: Who and what.
            budgets: The shared budgets, over the resource "import" (index 0).
            tariff_ahead: Agents see the tariff of the coming 24 hours.
            device: Where every tensor lives.
        """
        self.district = district
        self.device = torch.device(device)
        self._tariff_ahead = tariff_ahead
        self._observations = Observations(district, tariff_ahead, self.device)
        self._load_tensors()
        self.spec = self._make_spec(budgets)
        masks = [b.hours for b in budgets]
        counted = torch.stack(masks, -1) if masks else torch.zeros(HOURS, 0)
        self._counted_hours = counted.to(self.device, torch.float32)  # [24, m]
        self._calendar = Calendar(district, self._observations, self._counted_hours, self.device)

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """Start `batch` copies; see `Task.reset`. `initial` may name `waiting_load` and `soc`, in kWh."""
        check_reset(self.spec, batch, horizon)
        plant = plant_of(self.spec, initial, batch)
        shape = (batch, self.spec.n_agents)
        self._horizon = self.spec.horizon if horizon is None else horizon
        self._check_start(start)
        if start is None:
            first, last = self.district.training
            latest = max(first, last - self._horizon)
            drawn = torch.randint(first, latest + 1, (batch,), generator=generator, device=generator.device)
            first_hour = drawn.to(self.device)
        else:
            first_hour = torch.full((batch,), start, device=self.device)
        self._elapsed = 0
        self._everyone = torch.ones(shape, dtype=torch.bool, device=self.device)
        self._look_up(first_hour)
        zero = torch.zeros(shape, device=self.device)
        if plant is not None:
            self._waiting, self._stored = self._checked(plant)
        elif initial == "zero":
            self._waiting, self._stored = zero.clone(), zero.clone()
        else:
            # The square puts half of the draws in the lowest quarter, where controllers spend their time.
            waiting, stored = (
                torch.rand(shape, generator=generator, device=generator.device).to(self.device) for _ in range(2)
            )
            self._waiting = waiting.square() * self._own_peak * self.district.waiting_peaks
            self._stored = stored * self._capacity
        nothing = torch.zeros(batch, len(self.spec.budgets), device=self.device)
        measures = {name: zero.clone() for name in UNITS if name not in ("price", "carbon")}
        measures |= {"waiting_load": self._waiting, "soc": self._stored, "servable": self._efficiency * self._stored}
        common = ("price",) if self._hour.carbon is None else ("price", "carbon")
        measures |= {name: torch.zeros(batch, device=self.device) for name in common}
        return self._show(zero, zero, zero, nothing, measures)

    def step(self, actions: Tensor) -> Step:
        """Advance one hour with `actions` [B, N, 2]; see the module for the equations."""
        check_actions(self.spec, actions, self._batch)
        share, hour = actions.clamp(0.0, 1.0), self._hour
        load = hour.demand + self._waiting
        stored = torch.minimum(hour.chargeable, self._capacity - self._stored)
        soc = self._stored + stored
        battery = torch.minimum(torch.minimum(share[..., BATTERY] * load, self._efficiency * soc), self._power)
        rest = load - battery
        imported = torch.minimum(share[..., GRID] * rest, self._connection)
        self._waiting = rest - imported
        self._stored = (soc - battery / self._efficiency).clamp_min(0.0)
        reward = -hour.price[:, None] * imported - self._delay_price * self._waiting
        measures = {
            "import_kwh": imported,
            "battery_kwh": battery,
            "waiting_load": self._waiting,
            "demand": hour.demand,
            "solar": hour.solar,
            "stored": stored,
            "curtailed": hour.solar - stored / self._efficiency,
            "soc": self._stored,
            "servable": self._efficiency * self._stored,
            "price": hour.price,
        }
        if hour.carbon is not None:
            measures["carbon"] = hour.carbon
        return self._pass_hour(reward, imported, hour.demand - imported - battery, measures)

    def state(self) -> Tensor:
        """All that changes in what agents see, [B, S]; see `Observations.state`."""
        return self._observations.state(self._plant, self._hour.state)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """See `Task.state_bounds`."""
        return self._observations.state_bounds()

    def active(self, ahead: int) -> Tensor:
        """Which budgets count in the coming `ahead` hours, [B, ahead, m]."""
        return self._calendar.active(self._hour.column, ahead)

    def coming_prices(self, ahead: int) -> Tensor | None:
        """The tariff, where agents see it; see `Task.coming_prices`."""
        return self._calendar.prices(self._hour.column, ahead)[:, None] if self._tariff_ahead else None

    def counted_at(self, hour: int) -> Tensor:
        """Which budgets count in an hour of the calendar, float32, [m]."""
        return self._counted_hours[int(self.district.hour[hour])]

    @property
    def hour_of_calendar(self) -> int:
        """The present hour of the first copy, counted from the calendar's first."""
        return int(self._hour.column[0])

    def forecast(self, ahead: int) -> dict[str, np.ndarray]:
        """For privileged controllers: what the coming hours of the first copy bring, float64.

        Returns:
            `demand` and `solar` [N, ahead] in kWh, `price` [ahead] in $/kWh, and the present `waiting_load`
            and `stored` [N, ahead] in kWh, the same in every column.
        """
        start = self.hour_of_calendar
        now = {"waiting_load": self._waiting[0], "stored": self._stored[0]}
        coming = {"demand": self.district.demand(start, ahead), "solar": self.district.solar(start, ahead)}
        price = self.district.price[(start + torch.arange(ahead)) % self.district.hours]
        held = {name: value.double()[:, None].expand(-1, ahead) for name, value in now.items()}
        return {name: value.cpu().numpy() for name, value in (coming | held | {"price": price}).items()}

    @property
    def _batch(self) -> int | None:
        return len(self._waiting) if hasattr(self, "_waiting") else None

    def take(self, agents: Tensor) -> DemandResponse:
        """A task of the buildings with these indices; each keeps its share of the budgets."""
        agents = agents.to(self.district.shift.device)
        budgets = tuple(_budget_of(b, agents, self.spec.n_agents) for b in self.spec.budgets)
        return DemandResponse(self.district.take(agents), budgets, tariff_ahead=self._tariff_ahead, device=self.device)

    def _check_start(self, start: int | None) -> None:
        first, last = self.district.training
        if start is None and self._horizon > last - first:
            raise UsageError(f"horizon {self._horizon}: '{self.spec.name}' has {last - first} training hours")
        if start is not None and not 0 <= start < self.district.hours:
            raise UsageError(f"start {start}: allowed for '{self.spec.name}' are 0 to {self.district.hours - 1}")

    def _checked(self, plant: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Waiting load and state of charge [B, N] that a reset is given."""
        waiting, stored = (plant[name] for name in PLANT)
        if bool((waiting < 0).any() | (stored < 0).any() | (stored > self._capacity).any()):
            raise UsageError("initial: waiting_load and soc are at least 0, and soc at most the capacity, in kWh")
        return waiting, stored

    def _load_tensors(self) -> None:
        district = self.district

        def load(values: Tensor) -> Tensor:
            return values.to(self.device, torch.float32)

        self._capacity = load(district.battery_kwh)
        self._power = load(district.battery_kw)
        self._efficiency = load(district.efficiency)
        self._connection = load(district.connection_kwh)
        self._own_peak = load(district.own_peak)
        self._delay_price = district.delay_price * district.mean_price

    def _make_spec(self, budgets: tuple[Budget, ...]) -> TaskSpec:
        district = self.district
        return TaskSpec(
            name=district.name,
            n_agents=district.n_agents,
            obs_fields=self._observations.fields,
            action=Box(2),
            state_dim=self._observations.state_dim,
            horizon=district.horizon,
            budgets=budgets,
            resources=("import",),
            separable=True,
            ahead=HOURS,
            usage_scale=district.base_load,
            price_scale=district.mean_price,
            agent_scale=(district.own_peak / district.base_load).to(self.device, torch.float32),
            units=UNITS,
            plant=PLANT,
            price_field="tariff" if self._tariff_ahead else None,
            delay_price=district.delay_price,
            agent_types=district.agent_type,
            device=self.device,
        )

    def _look_up(self, first: Tensor) -> None:
        """Read the calendar from `first` [B] on: to the end of the episode, if that is not too much at once."""
        most = min(self._horizon - self._elapsed + 1, DAYS_AHEAD * HOURS, AT_ONCE // (len(first) * self.spec.n_agents))
        self._hours, self._row = self._calendar.look_up(first, max(1, most)), 0
        self._hour = self._hours[0]

    def _pass_hour(self, reward: Tensor, usage: Tensor, shortfall: Tensor, measures: dict[str, Tensor]) -> Step:
        """What the hour that was just taken comes to, seen from the next one."""
        column, counted = self._hour.column, self._hour.active[:, 0]
        self._elapsed, self._row = self._elapsed + 1, self._row + 1
        check_plant(self.spec, self._waiting, self._elapsed, self._horizon)
        if self._row < len(self._hours):
            self._hour = self._hours[self._row]
        else:
            self._look_up((column + 1) % self.district.hours)
        return self._show(reward, usage, shortfall, counted, measures)

    def _show(
        self, reward: Tensor, usage: Tensor, shortfall: Tensor, counted: Tensor, measures: dict[str, Tensor]
    ) -> Step:
        hour = self._hour
        self._plant = self._observations.plant(self._waiting, self._stored)
        never = torch.zeros_like(hour.column, dtype=torch.bool)
        return Step(
            obs=self._observations.observe(self._plant, hour.seen),
            reward=reward,
            usage=usage[..., None],
            shortfall=shortfall,
            active=hour.active,
            counted=counted,
            measures=measures,
            terminated=never,
            truncated=torch.full_like(never, self._elapsed >= self._horizon),
            alive=self._everyone,
        )


def _budget_of(budget: Budget, agents: Tensor, n_agents: int) -> Budget:
    """The share of a budget that belongs to the agents with these indices."""
    members = None if budget.agents is None else budget.agents[agents]
    kept = len(agents) if members is None else int(members.sum())
    part = kept / (n_agents if budget.agents is None else int(budget.agents.sum()))
    limit, scale = budget.limit * part, budget.scale * part
    return Budget(budget.name, budget.resource, budget.hours, limit, scale, members, budget.each_step)
