"""What the calendar brings to the buildings: no action changes it, so it is looked up for many hours at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from accord.envs.demand_response.observations import Observations, past_day
from accord.envs.districts.district import HOURS, District


@dataclass(frozen=True)
class Hour:
    """One hour of `B` copies.

    Attributes:
        column: Of the calendar, [B].
        demand: kWh, [B, N].
        solar: kWh, [B, N].
        chargeable: Most that the sun can put into the battery, kWh, [B, N].
        price: $/kWh, [B].
        carbon: kg/kWh, [B], or None where the data set has none.
        active: Which budgets count in this hour and the 23 after it, [B, 24, m].
        seen: What `Observations.observe` takes.
        state: What `Observations.state` takes.
    """

    column: Tensor
    demand: Tensor
    solar: Tensor
    chargeable: Tensor
    price: Tensor
    carbon: Tensor | None
    active: Tensor
    seen: tuple[Tensor, Tensor]
    state: tuple[Tensor, Tensor]


class Calendar:
    """The calendar of one district, in float32."""

    def __init__(self, district: District, observations: Observations, counted: Tensor, device: torch.device) -> None:
        """Set up.

        Args:
            district: Who and what.
            observations: What is seen of it.
            counted: Which budgets count in an hour of the day, float32, [24, m].
            device: Where every tensor lives.
        """

        def load(values: Tensor) -> Tensor:
            return values.to(device, torch.float32)

        self._observations, self._length, self._device = observations, district.hours, device
        self._demand_flat = load(district.demand_profiles.flatten())
        self._solar_flat = load(district.solar_profiles.flatten())
        self._demand_row = (district.demand_profile * district.hours).to(device)
        self._solar_row = (district.solar_profile * district.hours).to(device)
        self._demand_past = load(past_day(district.demand_profiles))
        self._solar_past = load(past_day(district.solar_profiles))
        self._shift = district.shift.to(device)
        self._shifted = bool(district.shift.any())
        self._demand_scale, self._pv = load(district.demand_scale), load(district.pv_kw)
        self._efficiency, self._power = load(district.efficiency), load(district.battery_kw)
        self._counted, self._hour = counted, district.hour.to(device)
        self._price, self._price_scale = load(district.price), district.mean_price
        self._carbon = None if district.carbon is None else load(district.carbon)

    def coming(self, first: Tensor, hours: int) -> Tensor:
        """Columns of the calendar [B, hours] from `first` [B] on; after its last hour comes its first."""
        return (first[:, None] + torch.arange(hours, device=self._device)) % self._length

    def active(self, first: Tensor, hours: int) -> Tensor:
        """Which budgets count in so many hours from `first` [B] on, [B, hours, m]."""
        return self._counted[self._hour[self.coming(first, hours)]]

    def prices(self, first: Tensor, hours: int) -> Tensor:
        """The tariff of so many hours from `first` [B] on, in mean prices, [B, hours]."""
        return self._price[self.coming(first, hours)] / self._price_scale

    def look_up(self, first: Tensor, hours: int) -> list[Hour]:
        """Some hours in a row, from `first` [B] on."""
        coming = self.coming(first, hours - 1 + HOURS).unfold(1, HOURS, 1).transpose(0, 1)  # [W, B, 24]
        column = coming[..., 0]
        own = column[..., None]
        if self._shifted:
            own = (own + self._shift) % self._length
        demand_at, solar_at = self._demand_row + own, self._solar_row + own
        demand, solar = self._demand_flat[demand_at] * self._demand_scale, self._solar_flat[solar_at] * self._pv
        past = self._demand_past[demand_at] * self._demand_scale, self._solar_past[solar_at] * self._pv
        known = {"demand": demand, "solar": solar, "demand_past_day": past[0], "solar_past_day": past[1]}
        active = self.active(first, hours - 1 + HOURS)
        carbon = [None] * hours if self._carbon is None else self._carbon[column].unbind()
        parts = (
            column.unbind(),
            demand.unbind(),
            solar.unbind(),
            torch.minimum(self._efficiency * solar, self._power).unbind(),
            self._price[column].unbind(),
            carbon,
            [active[:, i : i + HOURS] for i in range(hours)],
            zip(*(part.unbind() for part in self._observations.known(coming, known, own)), strict=True),
            zip(*(part.unbind() for part in self._observations.known_state(coming, known)), strict=True),
        )
        return [Hour(*hour) for hour in zip(*parts, strict=True)]
