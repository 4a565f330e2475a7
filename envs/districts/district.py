"""A district: who lives there, what they need and what the grid charges. Static data, no dynamics."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

HOURS = 24
VALIDATION_WARMUP = 31 * HOURS
VALIDATION = 28 * HOURS


@dataclass(frozen=True)
class District:
    """N buildings over one calendar of T hours. Per-agent numbers index shared profiles, never copy them.

    Attributes:
        name: Name in the catalogue.
        demand_profiles: [P, T] kWh per hour, before scaling.
        solar_profiles: [Q, T] kWh per hour and kW of PV.
        price: [T] $/kWh, of any sign.
        hour: [T] hour of the day, 0 to 23.
        weekday: [T] day of the week, 0 to 6, counted from the data set's first day.
        carbon: [T] kg/kWh, or None where the data set has none.
        demand_profile: [N] row of `demand_profiles`.
        solar_profile: [N] row of `solar_profiles`.
        shift: [N] hours by which an agent's profiles are shifted (whole days).
        demand_scale: [N] factor on the demand alone.
        pv_kw: [N] nominal PV power.
        battery_kwh: [N] capacity C.
        battery_kw: [N] power limit P.
        efficiency: [N] each way, η.
        connection_kwh: [N] most that one hour can import, G; inf for no limit.
        feeder: [N] index of the feeder.
        agent_type: [N] agents of one type are alike.
        base_load: kWh, the mean over agents of their own peak before scaling.
        delay_price: w as a share of the mean price, per kWh and hour.
        training: First and last (exclusive) hour that training may use.
        warmup: First hour of the warm-up.
        measured: First and last (exclusive) measured hour; the warm-up ends where it begins.
        horizon: Hours of a training episode.
        waiting_peaks: Training episodes start with up to this many own peaks of waiting load.
        in_sample: The measured hours are among the training hours.
    """

    name: str
    demand_profiles: Tensor
    solar_profiles: Tensor
    price: Tensor
    hour: Tensor
    weekday: Tensor
    carbon: Tensor | None
    demand_profile: Tensor
    solar_profile: Tensor
    shift: Tensor
    demand_scale: Tensor
    pv_kw: Tensor
    battery_kwh: Tensor
    battery_kw: Tensor
    efficiency: Tensor
    connection_kwh: Tensor
    feeder: Tensor
    agent_type: Tensor
    base_load: float
    delay_price: float
    training: tuple[int, int]
    warmup: int
    measured: tuple[int, int]
    horizon: int
    waiting_peaks: float
    in_sample: bool

    @property
    def n_agents(self) -> int:
        """N."""
        return len(self.demand_profile)

    @property
    def hours(self) -> int:
        """T, the hours of the calendar."""
        return self.demand_profiles.shape[1]

    @property
    def validation(self) -> tuple[int, int, int]:
        """Hours of the learning curves: first hour of the warm-up, first measured, end.

        The last four weeks of the training hours after a month of warm-up, or all of fewer hours than that.
        """
        first, end = self.training
        if end - first < VALIDATION_WARMUP + VALIDATION:
            return first, first, end
        return end - VALIDATION - VALIDATION_WARMUP, end - VALIDATION, end

    @cached_property
    def mean_price(self) -> float:
        """Mean size of the tariff, $/kWh: the unit of every multiplier.

        Above 0 whatever the sign of prices, and the mean itself where none is below 0; 1 where all are 0.
        """
        return float(self.price.abs().mean()) or 1.0

    @cached_property
    def own_peak(self) -> Tensor:
        """Each agent's own uncontrolled peak, [N] kWh."""
        return self.demand_profiles.amax(1)[self.demand_profile] * self.demand_scale

    @cached_property
    def demand_peak(self) -> float:
        """Uncontrolled peak max_t Σ_i d, in kWh; every budget level is a fraction of it."""
        return self.peak_of(torch.ones(self.n_agents, dtype=torch.bool))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every number that the district consists of, hex."""
        total = hashlib.sha256()
        for part in dataclasses.fields(self):
            value = getattr(self, part.name)
            total.update(part.name.encode())
            total.update(value.contiguous().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
        return total.hexdigest()

    def peak_of(self, members: Tensor) -> float:
        """Uncontrolled peak in kWh of the agents in `members`, bool [N].

        Agents with one profile and one shift are added up first, so the cost does not grow with N·T.
        """
        days = self.hours // HOURS
        key = self.demand_profile * days + self.shift // HOURS
        weight = torch.zeros(len(self.demand_profiles) * days, dtype=self.demand_profiles.dtype)
        weight.index_add_(0, key[members], self.demand_scale[members])
        total = torch.zeros_like(self.price)
        for index in weight.nonzero().flatten().tolist():
            profile, day = divmod(index, days)
            total += weight[index] * self.demand_profiles[profile].roll(-day * HOURS)
        return float(total.max())

    def demand(self, start: int, hours: int) -> Tensor:
        """Demand of every agent in a window of the calendar, [N, hours] kWh."""
        return self._window(self.demand_profiles, self.demand_profile, start, hours) * self.demand_scale[:, None]

    def solar(self, start: int, hours: int) -> Tensor:
        """Solar generation of every agent in a window of the calendar, [N, hours] kWh."""
        return self._window(self.solar_profiles, self.solar_profile, start, hours) * self.pv_kw[:, None]

    def take(self, agents: Tensor) -> District:
        """The same calendar with the agents of these indices (repeats allowed); the base load stays."""
        return dataclasses.replace(self, **{name: getattr(self, name)[agents] for name in PER_AGENT})

    def _window(self, profiles: Tensor, rows: Tensor, start: int, hours: int) -> Tensor:
        columns = (start + torch.arange(hours) + self.shift[:, None]) % self.hours
        return profiles[rows[:, None], columns]


PER_AGENT = (
    "demand_profile",
    "solar_profile",
    "shift",
    "demand_scale",
    "pv_kw",
    "battery_kwh",
    "battery_kw",
    "efficiency",
    "connection_kwh",
    "feeder",
    "agent_type",
)
