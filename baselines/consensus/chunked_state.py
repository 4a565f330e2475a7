"""What fused execution keeps of any number of agents, and the tables of profiles that they share."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from accord.baselines.multipliers.moving import DualConfig
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.observations import DAYS, past_day
from accord.envs.districts.district import HOURS, District


@dataclass
class CrowdState:
    """What an hour reads and writes of N agents, float32 unless said.

    Attributes:
        waiting: [N] waiting load, kWh.
        stored: [N] energy in the battery, kWh.
        imported: [N] import of the last hour, kWh.
        nu: [N] multiplier of the local equality, mean prices.
        lam: [N, m] multipliers of the budgets, mean prices.
        demand_row, solar_row: [N] int32, where the agent's profile begins in an hour's table.
        shift: [N] int32, days by which it lives ahead of the calendar.
        demand_scale, pv, capacity, power, connection, own_peak: [N], see `District`.
        parameters: [4, N] what the policy sees of them.
    """

    waiting: Tensor
    stored: Tensor
    imported: Tensor
    nu: Tensor
    lam: Tensor
    demand_row: Tensor
    solar_row: Tensor
    shift: Tensor
    demand_scale: Tensor
    pv: Tensor
    capacity: Tensor
    power: Tensor
    connection: Tensor
    own_peak: Tensor
    parameters: Tensor

    def to(self, device: torch.device) -> CrowdState:
        """The same on a device."""
        return CrowdState(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})

    @property
    def bytes_per_agent(self) -> float:
        """Of all tensors together."""
        return sum(getattr(self, part.name).nbytes for part in fields(self)) / len(self.waiting)


def by_hour(district: District) -> tuple[Tensor, ...]:
    """Demand, solar and the means of their past days, each [24, profiles · days]: an hour of the day is one row."""

    def table(profiles: Tensor) -> Tensor:
        return profiles.float().reshape(-1, HOURS).T.contiguous()

    demand, solar = district.demand_profiles, district.solar_profiles
    past = [past_day(profiles).reshape(profiles.shape) for profiles in (demand, solar)]
    return tuple(table(profiles) for profiles in (demand, solar, *past))


def weekdays(district: District) -> Tensor:
    """One-hot day of the week of each hour, [24, 7, days]: a calendar may change it within 24 of its hours."""
    return torch.eye(DAYS)[district.weekday].unflatten(0, (-1, HOURS)).permute(1, 2, 0).contiguous()


def at_rest(task: DemandResponse, dual: DualConfig) -> CrowdState:
    """Plant at rest, multipliers where the settings say."""
    district, n, m = task.district, task.spec.n_agents, len(task.spec.budgets)
    days, peak = district.hours // HOURS, district.own_peak
    return CrowdState(
        waiting=torch.zeros(n),
        stored=torch.zeros(n),
        imported=torch.zeros(n),
        nu=torch.full((n,), dual.nu_start),
        lam=torch.full((n, m), dual.lambda_start),
        demand_row=(district.demand_profile * days).int(),
        solar_row=(district.solar_profile * days).int(),
        shift=(district.shift // HOURS).int(),
        demand_scale=district.demand_scale.float(),
        pv=district.pv_kw.float(),
        capacity=district.battery_kwh.float(),
        power=district.battery_kw.float(),
        connection=district.connection_kwh.float(),
        own_peak=peak.float(),
        parameters=torch.stack(
            [
                (peak / district.base_load).log2(),
                district.pv_kw / peak,
                district.battery_kwh / peak,
                peak / district.connection_kwh,
            ]
        ).float(),
    )
