"""The districts of the catalogue, built from CityLearn's data. Each name has one meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from accord.envs.districts.citylearn_data import load
from accord.envs.districts.citylearn_schema import Building, Dataset, read_dataset
from accord.envs.districts.district import HOURS, District
from accord.envs.errors import UsageError
from accord.envs.files import Stamp, stamp_of
from accord.envs.plugins import loaded, refuse

YEAR = 8760
# The 2022 set starts in the last hour of 31 July; this row is the first hour of 1 January.
JANUARY_2022_SET = 153 * HOURS + 1
DELAY_PRICE = 0.05  # share of the mean price per kWh and hour
CONNECTION_PEAKS = 2.0  # connection limit in own peaks
SYNTHETIC_SEED = 2026
WEEK = 7 * HOURS
FOLDER = "folder:"  # before the path of a district of one's own
SYNTHETIC = "synthetic"  # the first word of districts of any size
GROUP = "accord.districts"  # entry points of outside packages
MOST_BUILDINGS = 10_000_000  # of a synthetic one, which takes some gigabytes
FEEDER_SIZE = 100  # buildings on one feeder of a synthetic district


class Plan(TypedDict):
    """The part of a district that says what time is for; see `District`."""

    delay_price: float
    training: tuple[int, int]
    warmup: int
    measured: tuple[int, int]
    horizon: int
    waiting_peaks: float
    in_sample: bool


# Trained from January to July, measured from September to December after a month of warm-up.
HALF_YEARS: Plan = {
    "delay_price": DELAY_PRICE,
    "training": (0, 212 * HOURS),
    "warmup": 212 * HOURS,
    "measured": (243 * HOURS, 365 * HOURS),
    "horizon": 168,
    "waiting_peaks": 2.0,
    "in_sample": False,
}

# Shifted by whole days, one building trains on days that another is measured on.
SHIFTED_YEARS: Plan = {**HALF_YEARS, "in_sample": True}


def paper_seven() -> District:
    """Seven copies of one commercial building, two with double demand; delay is free, as in the paper."""
    return _seven("paper_seven", delay_price=0.0, horizon=80, waiting_peaks=4.0, warmup=0, measured=(0, 2928))


def campus_seven() -> District:
    """The buildings of `paper_seven` with a price of delay and 744 hours of warm-up."""
    return _seven(
        "campus_seven", delay_price=DELAY_PRICE, horizon=168, waiting_peaks=2.0, warmup=0, measured=(744, 2904)
    )


def homes_17() -> District:
    """Seventeen homes; trained from January to July, measured from September to December."""
    data = _calendar_year(load("citylearn_challenge_2022_phase_all"), JANUARY_2022_SET)
    return _from_dataset("homes_17", data, feeder=_blocks(17, 3), first=JANUARY_2022_SET)


def mixed_9() -> District:
    """Nine buildings of mixed use in their first year, under the tariff of `homes_17`."""
    return _from_dataset("mixed_9", _mixed_year(), feeder=_blocks(9, 3))


def synthetic(n_agents: int) -> District:
    """`n_agents` buildings drawn from `homes_17` and `mixed_9`, each a pure function of (seed, index)."""
    homes = _calendar_year(load("citylearn_challenge_2022_phase_all"), JANUARY_2022_SET)
    mixed = _mixed_year()
    pool = (*homes.buildings, *mixed.buildings)
    sunny = [i for i, building in enumerate(pool) if building.pv_kw > 0]
    index = np.arange(n_agents, dtype=np.uint64)
    uniform = [_hashed_uniform(index, stream) for stream in range(7)]
    profile = (uniform[0] * len(pool)).astype(np.int64)
    scale = np.exp2(2 * uniform[1] - 1)  # half to double
    shift = (uniform[2] * (YEAR // HOURS)).astype(np.int64) * HOURS
    peak = np.array([building.demand.max() for building in pool])[profile] * scale
    # Sizes relative to the building's peak: four in five have PV, and a battery comes with PV.
    has_pv = uniform[3] < 0.8
    pv = np.where(has_pv, peak * (0.5 + uniform[4]), 0.0)
    battery = np.where(has_pv, peak * (0.5 + 1.5 * uniform[5]), 0.0)
    solar_profile = np.array(sunny)[(uniform[6] * len(sunny)).astype(np.int64)]
    ones = torch.ones(n_agents, dtype=torch.float64)
    peaks = torch.tensor([float(building.demand.max()) for building in pool], dtype=torch.float64)
    return District(
        name=f"synthetic_{n_agents}",
        demand_profiles=_stack([b.demand for b in pool]),
        solar_profiles=_stack([b.solar for b in pool]),
        price=torch.tensor(_tariff(homes)),
        hour=torch.tensor(homes.hour),
        weekday=_weekday(YEAR, JANUARY_2022_SET),
        carbon=None if homes.carbon is None else torch.tensor(homes.carbon),
        demand_profile=torch.from_numpy(profile),
        solar_profile=torch.from_numpy(solar_profile),
        shift=torch.from_numpy(shift),
        demand_scale=torch.from_numpy(scale),
        pv_kw=torch.from_numpy(pv),
        battery_kwh=torch.from_numpy(battery),
        battery_kw=torch.from_numpy(battery / 2),  # two-hour batteries
        efficiency=0.9 * ones,
        connection_kwh=CONNECTION_PEAKS * torch.from_numpy(peak),
        feeder=torch.arange(n_agents) // FEEDER_SIZE,
        agent_type=torch.zeros(n_agents, dtype=torch.long),
        base_load=float(peaks[torch.from_numpy(profile)].mean()),
        **SHIFTED_YEARS,
    )


def from_folder(folder: str | Path) -> District:
    """A user's own district from a folder in CityLearn's schema; trained on its first half, measured on the second.

    Raises:
        UsageError: the folder's data cannot be used; the message names file and column.
    """
    data = read_dataset(folder)
    if data.price is None:
        raise UsageError(
            f"{Path(folder) / 'schema.json'}: no building has a tariff; allowed: "
            f'"pricing": "pricing.csv" in every building, and beside it that file with a column electricity_pricing '
            f"in $/kWh and {data.hours} rows, one for each hour"
        )
    if data.hours < 28 * HOURS:
        raise UsageError(f"{folder}: {data.hours} hours of data; at least four weeks ({28 * HOURS} hours) are needed")
    half = data.hours // (2 * HOURS) * HOURS
    quarter = half + (data.hours - half) // (4 * HOURS) * HOURS
    last = quarter + (data.hours - quarter) // HOURS * HOURS
    plan: Plan = {**HALF_YEARS, "training": (0, half), "warmup": half, "measured": (quarter, last)}
    return _from_dataset(data.name, data, feeder=_blocks(len(data.buildings), 1), plan=plan)


NAMED: dict[str, Callable[[], District]] = {
    "paper_seven": paper_seven,
    "campus_seven": campus_seven,
    "homes_17": homes_17,
    "mixed_9": mixed_9,
}
ALLOWED = (
    f"{', '.join(NAMED)}, synthetic_N or synthetic_N-week (N from 1 to {MOST_BUILDINGS}), or folder:PATH in "
    "CityLearn's schema"
)


@cache
def _outside() -> dict[str, Callable[[], object]]:
    """What outside packages add, by name; one with a name of ours, or that is no function, is passed over."""
    found = {}
    for name, build in loaded(GROUP):
        if name in NAMED or name.startswith(f"{SYNTHETIC}_"):
            refuse(GROUP, name, "its name is taken")
        elif not callable(build):
            refuse(GROUP, name, f"it is a {type(build).__name__}; allowed: a function that returns a District")
        else:
            found[name] = build
    return found


def named_districts() -> list[tuple[str, str]]:
    """Name and first line of every district that has one: ours, then those of other packages."""
    return [(name, (build.__doc__ or "").partition("\n")[0]) for name, build in {**NAMED, **_outside()}.items()]


def make_district(name: str) -> District:
    """The district of a name: the first word of a scenario's address.

    Outside packages add a district as an entry point in `accord.districts`: its name, and a function without
    arguments that returns a `District`.

    Raises:
        UsageError: no such district.
    """
    return _made(name, stamp_of(Path(name.removeprefix(FOLDER))) if name.startswith(FOLDER) else ())


@lru_cache(maxsize=8)
def _made(name: str, files: Stamp) -> District:
    if name in NAMED:
        return NAMED[name]()
    if name in _outside():
        district = _outside()[name]()
        if not isinstance(district, District):
            raise UsageError(f"district '{name}': its entry point in {GROUP} returned a {type(district).__name__}")
        return district
    if name.startswith(FOLDER):
        return from_folder(name.removeprefix(FOLDER))
    match = re.fullmatch(r"synthetic_([1-9][0-9]{0,7})(-week)?", name)
    if match and int(match[1]) <= MOST_BUILDINGS:
        year = synthetic(int(match[1]))
        first = year.measured[0]
        return replace(year, name=name, measured=(first, first + WEEK)) if match[2] else year
    raise UsageError(f"unknown district '{name}'; allowed: {ALLOWED}")


def _seven(
    name: str, *, delay_price: float, horizon: int, waiting_peaks: float, warmup: int, measured: tuple[int, int]
) -> District:
    data = load("baeda_3dem")
    building = data.buildings[3]
    # The battery of the same archetype in the 2021 set: the baeda set has none.
    storage = load("citylearn_challenge_2021").buildings[0]
    ones = torch.ones(7, dtype=torch.float64)
    zeros = torch.zeros(7, dtype=torch.long)
    double = torch.tensor([0, 0, 1, 0, 0, 1, 0])
    return District(
        name=name,
        demand_profiles=_stack([building.demand]),
        solar_profiles=_stack([building.solar]),
        price=torch.tensor(_tariff(data)),
        hour=torch.tensor(data.hour),
        weekday=_weekday(data.hours, 0),
        carbon=None,
        demand_profile=zeros,
        solar_profile=zeros,
        shift=zeros,
        demand_scale=1.0 + double.double(),
        pv_kw=building.pv_kw * ones,
        battery_kwh=storage.battery_kwh * ones,
        battery_kw=storage.battery_kw * ones,
        efficiency=storage.efficiency * ones,
        connection_kwh=torch.inf * ones,
        feeder=torch.tensor([0, 0, 0, 0, 1, 1, 1]),
        agent_type=double,
        base_load=float(building.demand.max()),
        delay_price=delay_price,
        training=(0, data.hours),
        warmup=warmup,
        measured=measured,
        horizon=horizon,
        waiting_peaks=waiting_peaks,
        in_sample=True,
    )


def _from_dataset(name: str, data: Dataset, *, feeder: Tensor, first: int = 0, plan: Plan = HALF_YEARS) -> District:
    buildings = data.buildings
    n_agents = len(buildings)
    peaks = np.array([building.demand.max() for building in buildings])

    def column(read: Callable[[Building], float]) -> Tensor:
        return torch.tensor([read(building) for building in buildings], dtype=torch.float64)

    rows = torch.arange(n_agents)
    return District(
        name=name,
        demand_profiles=_stack([b.demand for b in buildings]),
        solar_profiles=_stack([b.solar for b in buildings]),
        price=torch.tensor(_tariff(data)),
        hour=torch.tensor(data.hour),
        weekday=_weekday(data.hours, first),
        carbon=None if data.carbon is None else torch.tensor(data.carbon),
        demand_profile=rows,
        solar_profile=rows,
        shift=torch.zeros(n_agents, dtype=torch.long),
        demand_scale=torch.ones(n_agents, dtype=torch.float64),
        pv_kw=column(lambda b: b.pv_kw),
        battery_kwh=column(lambda b: b.battery_kwh),
        battery_kw=column(lambda b: b.battery_kw),
        efficiency=column(lambda b: b.efficiency),
        connection_kwh=CONNECTION_PEAKS * torch.from_numpy(peaks),
        feeder=feeder,
        agent_type=rows,
        base_load=float(peaks.mean()),
        **plan,
    )


def _mixed_year() -> Dataset:
    """The 2021 set's first year with the 2022 set's tariff, both from the first hour of 1 January."""
    data = load("citylearn_challenge_2021")
    tariff = _calendar_year(load("citylearn_challenge_2022_phase_all"), JANUARY_2022_SET).price
    return _calendar_year(data, 0, price=tariff)


def _calendar_year(data: Dataset, first: int, price: np.ndarray | None = None) -> Dataset:
    """One year of a data set as a cycle that begins at row `first`."""

    def cut(values: np.ndarray) -> np.ndarray:
        return np.roll(values[:YEAR], -first)

    def maybe(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else cut(values)

    buildings = tuple(
        Building(b.name, cut(b.demand), cut(b.solar), b.pv_kw, b.battery_kwh, b.battery_kw, b.efficiency)
        for b in data.buildings
    )
    kept = maybe(data.price) if price is None else price
    return Dataset(data.name, cut(data.hour), kept, maybe(data.temperature), maybe(data.carbon), buildings)


def _weekday(hours: int, first: int) -> Tensor:
    """Day of the week of each row, for a calendar that begins at row `first` of its data set.

    Row 0 of a set that begins in the last hour of a day counts for the day before: in the year's cycle of the 2022 set
    that is hour 5087, whose weekday is not that of the hours before it. Digests of published districts hold it.
    """
    midnight = first % HOURS
    days = torch.div(torch.arange(hours) - midnight, HOURS, rounding_mode="floor") % 7
    return days.roll(-first)


def _tariff(data: Dataset) -> np.ndarray:
    if data.price is None:
        raise UsageError(f"data set '{data.name}' has no tariff: its schema must name a pricing file")
    return data.price


def _stack(rows: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(rows).astype(np.float64))


def _blocks(n_agents: int, blocks: int) -> Tensor:
    """Contiguous feeders of about equal size."""
    return torch.arange(n_agents) * blocks // n_agents


def _hashed_uniform(index: np.ndarray, stream: int) -> np.ndarray:
    """Uniform numbers in [0, 1), each a pure function of (seed, stream, index): the SplitMix64 finaliser."""
    with np.errstate(over="ignore"):
        z = index * np.uint64(0x9E3779B97F4A7C15) + np.uint64(SYNTHETIC_SEED * 1_000_003 + stream * 7919)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53
