"""What agents and central critics see of demand response: the fields, their units and scales, in float32."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from accord.envs.districts.district import HOURS, District
from accord.envs.task import Field

DAYS = 7
ROUNDING = 1e-6  # by which float32 may pass a bound
SOME, ANY, SHARE = (0.0, math.inf), (-math.inf, math.inf), (0.0, 1.0 + ROUNDING)
# Unit, scale, and what the scaled number lies between.
LOCAL_FIELDS = {
    "waiting_load": ("kWh", "log(1 + own peaks)", SOME),
    "demand": ("kWh", "own peak", SHARE),
    "soc": ("kWh", "battery capacity", SHARE),
    "solar": ("kWh", "own peak", SOME),
    "price": ("$/kWh", "mean price", ANY),
    "hour_sin": ("-", "1", (-1.0, 1.0)),
    "hour_cos": ("-", "1", (-1.0, 1.0)),
    "demand_past_day": ("kWh", "own peak; mean of the last 24 hours", (-ROUNDING, 1.0 + ROUNDING)),
    "solar_past_day": ("kWh", "own peak; mean of the last 24 hours", ANY),
    "demand_scale": ("kWh", "log2 of base loads", ANY),
    "pv": ("kW", "own peak", SOME),
    "battery": ("kWh", "own peak", SOME),
    "connection": ("1/kWh", "own peak; 0 without a limit", SOME),
}
CHANGING = ("waiting_load", "demand", "soc", "solar", "demand_past_day", "solar_past_day")
COMMON = ("price", "hour_sin", "hour_cos")


class Observations:
    """Observations and states of one district.

    Both are made of what no action changes, worked out for W hours together, and of the plant in one of these. The
    first is made of `coming` [W, B, 24], the hours of the calendar from each of the W hours on, and of `known`, the
    `CHANGING` fields of every building but the plant's, [W, B, N] in kWh.

    Attributes:
        fields: The columns of an observation.
        state_dim: S, the width of a state.
    """

    def __init__(self, district: District, tariff_ahead: bool, device: torch.device) -> None:
        """Set up.

        Args:
            district: Who and what.
            tariff_ahead: The tariff of the coming 24 hours is seen.
            device: Where every tensor lives.
        """

        def load(values: Tensor) -> Tensor:
            return values.to(device, torch.float32)

        self._tariff_ahead = tariff_ahead
        self.fields = _fields(tariff_ahead)
        self.state_dim = len(CHANGING) * district.n_agents + len(COMMON) + DAYS + tariff_ahead * HOURS
        self._price, self._price_scale = load(district.price), district.mean_price
        self._hour, self._weekday = district.hour.to(device), district.weekday.to(device)
        self._week = torch.eye(DAYS, device=device)
        angle = torch.arange(HOURS, device=device) * (2 * math.pi / HOURS)
        self._clock = torch.stack([angle.sin(), angle.cos()])
        self._own_peak, capacity = load(district.own_peak), load(district.battery_kwh)
        self._soc_scale = capacity.clamp_min(1e-9)
        self._parameters = {
            "demand_scale": (self._own_peak / district.base_load).log2(),
            "pv": load(district.pv_kw) / self._own_peak,
            "battery": capacity / self._own_peak,
            "connection": self._own_peak / load(district.connection_kwh),
        }

    def known(self, coming: Tensor, known: Mapping[str, Tensor], own_hour: Tensor) -> tuple[Tensor, Tensor]:
        """What agents see that no action changes: the columns between the plant's and those behind, [W, B, N, ·].

        Args:
            coming: See the class.
            known: See the class.
            own_hour: [W, B, 1 or N]; a shifted building lives on its own profile's week.
        """
        shape = known["demand"].shape
        fields = self._scaled(coming, known)
        demand = fields.pop("demand")
        week = self._week[self._weekday[own_hour]]  # [W, B, 1 or N, 7]
        columns = [torch.stack(list(fields.values()), -1), week.expand(*shape, DAYS)]
        columns += [tariff[:, :, None].expand(*shape, HOURS) for tariff in self._tariff(coming)]
        return demand[..., None], torch.cat(columns, -1)

    def known_state(self, coming: Tensor, known: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What of a state no action changes: the columns between the plant's and those behind, [W, B, ·]."""
        fields = self._scaled(coming, known)
        own = [fields[name] for name in CHANGING if name in fields]
        clock = [fields[name][..., :1] for name in COMMON]
        week = self._week[self._weekday[coming[..., 0]]]
        return own[0], torch.cat([*own[1:], *clock, week, *self._tariff(coming)], -1)

    def plant(self, waiting: Tensor, stored: Tensor) -> tuple[Tensor, Tensor]:
        """Waiting load and stored energy [B, N], scaled from kWh as `LOCAL_FIELDS` says."""
        return (waiting / self._own_peak).log1p(), stored / self._soc_scale

    def observe(self, plant: tuple[Tensor, Tensor], known: tuple[Tensor, Tensor]) -> Tensor:
        """What each agent sees, [B, N, O].

        Args:
            plant: Of `plant`.
            known: Of `known`, in one hour.
        """
        return torch.cat([plant[0][..., None], known[0], plant[1][..., None], known[1]], -1)

    def state(self, plant: tuple[Tensor, Tensor], known: tuple[Tensor, Tensor]) -> Tensor:
        """All that changes in what agents see: `CHANGING` of each, then `COMMON`, weekday and tariff, [B, S].

        The buildings' parameters are left out: they are the same in every state of a district.

        Args:
            plant: Of `plant`.
            known: Of `known_state`, in one hour.
        """
        return torch.cat([plant[0], known[0], plant[1], known[1]], 1)

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """What no state lies below and above, two of [S]."""
        names = [name for name in CHANGING for _ in range(self._own_peak.shape[0])]
        names += [*COMMON, *["weekday"] * DAYS, *["tariff"] * (HOURS * self._tariff_ahead)]
        fields = [self.fields[name] for name in names]
        return torch.tensor([part.low for part in fields]), torch.tensor([part.high for part in fields])

    def _scaled(self, coming: Tensor, known: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The local fields but the plant's, each [W, B, N], scaled as `LOCAL_FIELDS` says and in its order."""
        shape, hour = known["demand"].shape, coming[..., 0]
        clock = self._clock[:, self._hour[hour]]
        fields = {
            "demand": known["demand"] / self._own_peak,
            "solar": known["solar"] / self._own_peak,
            "price": (self._price[hour] / self._price_scale)[..., None].expand(shape),
            "hour_sin": clock[0][..., None].expand(shape),
            "hour_cos": clock[1][..., None].expand(shape),
            "demand_past_day": known["demand_past_day"] / self._own_peak,
            "solar_past_day": known["solar_past_day"] / self._own_peak,
        }
        return fields | {name: value.expand(shape) for name, value in self._parameters.items()}

    def _tariff(self, coming: Tensor) -> list[Tensor]:
        """The tariff of the coming day in mean prices, [W, B, 24], where agents may see it."""
        return [self._price[coming] / self._price_scale] if self._tariff_ahead else []


def past_day(profiles: Tensor) -> Tensor:
    """Mean of the 24 hours before each hour, the calendar taken as a cycle, flat [P·T]."""
    before = torch.cat([profiles[:, -HOURS:], profiles], 1).cumsum(1)
    total = before[:, HOURS - 1 : -1] - torch.cat([torch.zeros_like(before[:, :1]), before[:, : -HOURS - 1]], 1)
    return (total / HOURS).flatten()


def _fields(tariff_ahead: bool) -> dict[str, Field]:
    fields = {
        name: Field(slice(i, i + 1), unit, scale, low=low, high=high)
        for i, (name, (unit, scale, (low, high))) in enumerate(LOCAL_FIELDS.items())
    }
    week = slice(len(fields), len(fields) + DAYS)
    fields["weekday"] = Field(week, "-", "1; one column per day", low=0.0, high=1.0)
    if tariff_ahead:
        columns = slice(fields["weekday"].where.stop, fields["weekday"].where.stop + HOURS)
        fields["tariff"] = Field(columns, "$/kWh", "mean price", ahead=HOURS)
    return fields
