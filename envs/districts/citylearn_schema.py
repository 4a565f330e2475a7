"""Reads a folder of building data in CityLearn's schema: `schema.json` and the CSV files it names.

Column names of CityLearn 2.x ("Hour", "Equipment Electric Power [kWh]") and 3.x ("hour",
"non_shiftable_load") are both accepted, see `envs.districts.csv_columns` for how they may be written. Every file is
read whole: the schema's simulation window is not applied. Of a building its electric load, PV and battery are read;
heat, appliances that can be shifted and electric vehicles are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from os.path import isdir, isfile  # which are False where a name is too long to be one
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accord.envs.districts.csv_columns import Column, read_columns
from accord.envs.districts.json_values import as_object, attributes, efficiency, file_name, flag, read_object, size
from accord.envs.errors import UsageError, quoted

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SECONDS_PER_TIME_STEP = 3600

COLUMN_NAMES: dict[str, tuple[str, ...]] = {
    "hour": ("Hour", "hour"),
    "demand": ("Equipment Electric Power [kWh]", "non_shiftable_load"),
    "solar": ("Solar Generation [W/kW]", "solar_generation"),
    "price": ("Electricity Pricing [$/kWh]", "electricity_pricing"),
    "temperature": ("Outdoor Drybulb Temperature [C]", "outdoor_dry_bulb_temperature"),
    "carbon": ("kg_CO2/kWh", "carbon_intensity"),
}


@dataclass(frozen=True, eq=False)
class Building:
    """One building's profiles and equipment; the arrays are read-only copies.

    Attributes:
        name: Name in the schema.
        demand: [T] electric load of equipment that cannot be shifted, kWh per hour.
        solar: [T] generation of one kW of PV, kWh per hour.
        pv_kw: Nominal power of the PV, kW; 0 without PV.
        battery_kwh: Capacity of the battery, kWh; 0 without a battery.
        battery_kw: Nominal power of the battery, kW; 0 without a battery.
        efficiency: The battery's `efficiency` in the schema, in (0, 1]; 1 without a battery.
    """

    name: str
    demand: FloatArray
    solar: FloatArray
    pv_kw: float
    battery_kwh: float
    battery_kw: float
    efficiency: float

    def __post_init__(self) -> None:
        for field in ("demand", "solar"):
            object.__setattr__(self, field, _read_only(getattr(self, field), np.float64))


@dataclass(frozen=True, eq=False)
class Dataset:
    """Hourly profiles of several buildings and what they share; the arrays are read-only copies.

    Attributes:
        name: Name of the data set.
        hour: [T] hour of day at the start of each step, 0..23.
        price: [T] electricity price, $/kWh, or None where the set has no tariff.
        temperature: [T] outdoor temperature, degrees Celsius, or None.
        carbon: [T] carbon intensity of the grid, kg CO2 per kWh, or None.
        buildings: The included buildings, in the schema's order.
    """

    name: str
    hour: IntArray
    price: FloatArray | None
    temperature: FloatArray | None
    carbon: FloatArray | None
    buildings: tuple[Building, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hour", _read_only(self.hour, np.int64))
        for field in ("price", "temperature", "carbon"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, _read_only(getattr(self, field), np.float64))

    @property
    def hours(self) -> int:
        """Number of steps T."""
        return self.hour.size


def read_dataset(folder: str | Path, name: str | None = None) -> Dataset:
    """Read the included buildings of a folder in CityLearn's schema.

    An hour column is numbered 0..23 (hour of day = value) or, where a 24 or no 0 occurs, 1..24 (hour of day =
    (value - 1) mod 24, a 0 taken for 24).

    Args:
        folder: The folder that holds `schema.json`.
        name: Name of the data set; the folder's name by default.

    Returns:
        The data set. Buildings share one pricing, weather and carbon file.

    Raises:
        UsageError: The folder or one of its files is missing or unreadable, or a used column or
            figure is missing, not a finite number, or out of its range.
    """
    root = Path(folder)
    path = root / "schema.json"
    schema = _read_schema(root)
    _check_time_step(path, schema)
    entries = _included_buildings(path, schema)
    tables = {
        building: _columns(
            root / file_name(_where(path, building), entry, "energy_simulation"), ("hour", "demand", "solar")
        )
        for building, entry in entries.items()
    }
    hour_column = _common_hour([table["hour"] for table in tables.values()])
    return Dataset(
        name=root.resolve().name if name is None else name,
        hour=_hour_of_day(hour_column),
        price=_read_shared(path, entries, "pricing", "price", hour_column),
        temperature=_read_shared(path, entries, "weather", "temperature", hour_column),
        carbon=_read_shared(path, entries, "carbon_intensity", "carbon", hour_column),
        buildings=tuple(
            _building(_where(path, building), building, entry, tables[building]) for building, entry in entries.items()
        ),
    )


def _read_schema(root: Path) -> dict[str, Any]:
    if not isdir(root):
        raise UsageError(f"{root}: no such folder; give one that holds schema.json: accord new-district writes one")
    path = root / "schema.json"
    if not isfile(path):
        raise UsageError(f"{path}: no such file; the folder must hold CityLearn's schema.json")
    return read_object(path)


def _check_time_step(path: Path, schema: Mapping[str, Any]) -> None:
    seconds = schema.get("seconds_per_time_step")
    if seconds != SECONDS_PER_TIME_STEP:
        raise UsageError(f"{path}: seconds_per_time_step is {quoted(seconds)}; only {SECONDS_PER_TIME_STEP} is allowed")


def _included_buildings(path: Path, schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The schema's entries of buildings whose `include` is not false, by name."""
    buildings = as_object(f"{path}: 'buildings'", schema.get("buildings"))
    entries = {name: as_object(_where(path, name), entry) for name, entry in buildings.items()}
    included = {name: entry for name, entry in entries.items() if flag(_where(path, name), entry, "include", True)}
    if not included:
        raise UsageError(f'{path}: no included building; set "include": true for at least one')
    return included


def _columns(path: Path, quantities: tuple[str, ...]) -> dict[str, Column]:
    return read_columns(path, {quantity: COLUMN_NAMES[quantity] for quantity in quantities})


def _common_hour(columns: list[Column]) -> Column:
    """The hour column on which all buildings' files agree."""
    first = columns[0]
    for column in columns[1:]:
        _check_length(column, first)
        column.reject(column.values != first.values, f"differs from the hour in {first.path}")
    return first


def _hour_of_day(column: Column) -> IntArray:
    """Hour of day 0..23 [T] from a column whose days have the hours 0..23, or 1..24 where a 24 or no 0 occurs.

    0 and 24 are the same midnight: some of CityLearn's files begin with a 0 and go on with 1..24.
    """
    values = column.values
    numbered_from_0 = bool((values == 0).any() and not (values == 24).any())
    last = 23 if numbered_from_0 else 24
    whole = values == np.floor(values)
    column.reject(
        ~whole | (values < 0) | (values > last), f"is not a whole hour of {0 if numbered_from_0 else 1}..{last}"
    )
    hour = (values.astype(np.int64) - (not numbered_from_0)) % 24
    advances = np.append(True, np.diff(hour) % 24 == 1)
    column.reject(~advances, "does not follow the previous row's hour by one")
    return hour


def _check_length(column: Column, reference: Column) -> None:
    rows, expected = column.values.size, reference.values.size
    if rows != expected:
        problem = f"column {column.label!r} ends at row {rows}, but {reference.path} has {expected} rows"
        raise UsageError(f"{column.path}: {problem}")


def _read_shared(
    path: Path, entries: Mapping[str, Mapping[str, Any]], key: str, quantity: str, hour: Column
) -> FloatArray | None:
    """The column [T] of the file that all buildings name under `key`, or None where none does."""
    files = {
        name: None if entry.get(key) is None else file_name(_where(path, name), entry, key)
        for name, entry in entries.items()
    }
    first, file = next(iter(files.items()))
    for name, other in files.items():
        if other != file:
            raise UsageError(
                f"{_where(path, name)}: {key!r} is {other!r}, but {file!r} for {first!r}; "
                "all included buildings must name one file"
            )
    if file is None:
        return None
    column = _columns(path.parent / file, (quantity,))[quantity]
    _check_length(column, hour)
    return column.values


def _building(where: str, name: str, entry: Mapping[str, Any], table: Mapping[str, Column]) -> Building:
    for quantity in ("demand", "solar"):
        table[quantity].reject(table[quantity].values < 0, f"is a negative {quantity}; it must be at least 0")
    if not table["demand"].values.any():
        raise UsageError(
            f"{table['demand'].path}: column {table['demand'].label!r} is 0 in every row; a building needs a demand, "
            f'or "include": false in schema.json'
        )
    pv = attributes(where, entry, "pv")
    battery = attributes(where, entry, "electrical_storage")
    return Building(
        name=name,
        demand=table["demand"].values,
        solar=table["solar"].values / 1000,  # W per kW to kWh per kW and hour
        pv_kw=0.0 if pv is None else size(f"{where}: pv", pv, "nominal_power"),
        battery_kwh=0.0 if battery is None else size(f"{where}: electrical_storage", battery, "capacity"),
        battery_kw=0.0 if battery is None else size(f"{where}: electrical_storage", battery, "nominal_power"),
        efficiency=1.0 if battery is None else efficiency(f"{where}: electrical_storage", battery),
    )


def _where(path: Path, building: str) -> str:
    return f"{path}: building {building!r}"


def _read_only(values: npt.ArrayLike, dtype: type[np.generic]) -> npt.NDArray[Any]:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
