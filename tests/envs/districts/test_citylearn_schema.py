"""Reading folders in CityLearn's schema: both generations of column names, and every refusal."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from accord.envs.districts.citylearn_data import digest
from accord.envs.districts.citylearn_schema import COLUMN_NAMES, read_dataset
from accord.envs.errors import UsageError

ROWS = 30
BATTERY = {
    "capacity": 6.4,
    "nominal_power": 5.0,
    "efficiency": 0.9,
    "power_efficiency_curve": [[0, 0.8], [1, 0.9]],
}


def write_csv(path: Path, columns: dict[str, Any], generation: int) -> None:
    labels = {quantity: names[generation] for quantity, names in COLUMN_NAMES.items()}
    pd.DataFrame(columns).rename(columns=labels).to_csv(path, index=False)


def write_folder(folder: Path, generation: int = 0) -> Path:
    """Two homes, the second without equipment, and one that is not included."""
    folder.mkdir()
    draw = np.random.default_rng(7).random
    hour = (np.arange(ROWS) + 23) % 24 + 1  # starts at 24
    unused = np.full(ROWS, np.nan)
    for home in ("home_a.csv", "home_b.csv"):
        profile = {"hour": hour, "indoor": unused, "demand": draw(ROWS), "solar": 1000 * draw(ROWS)}
        write_csv(folder / home, profile, generation)
    write_csv(folder / "pricing.csv", {"price": draw(ROWS)}, generation)
    write_csv(folder / "weather.csv", {"temperature": draw(ROWS), "humidity": unused}, generation)
    write_csv(folder / "carbon.csv", {"carbon": draw(ROWS)}, generation)
    home_a = {
        "include": True,
        "energy_simulation": "home_a.csv",
        "pricing": "pricing.csv",
        "weather": "weather.csv",
        "carbon_intensity": "carbon.csv",
        "pv": {"autosize": False, "attributes": {"nominal_power": 4}},
        "electrical_storage": {"autosize": False, "attributes": BATTERY},
    }
    home_b = {key: value for key, value in home_a.items() if key not in ("pv", "electrical_storage")}
    buildings = {
        "a": home_a,
        "b": {**home_b, "energy_simulation": "home_b.csv"},
        "left_out": {**home_b, "include": False, "energy_simulation": "absent.csv"},
    }
    write_schema(folder, {"seconds_per_time_step": 3600, "buildings": buildings})
    return folder


def write_schema(folder: Path, schema: dict[str, Any]) -> None:
    (folder / "schema.json").write_text(json.dumps(schema))


def change_schema(folder: Path, keys: tuple[str, ...], value: Any) -> None:
    schema = json.loads((folder / "schema.json").read_text())
    entry = schema
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    write_schema(folder, schema)


def change_cell(path: Path, label: str, row: int, value: Any) -> None:
    """Write `value` into a row, counted from 1."""
    table = pd.read_csv(path).astype(object)
    table.loc[row - 1, label] = value
    table.to_csv(path, index=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "homes")


def assert_refused(folder: Path, *parts: str) -> None:
    """The folder is refused in one line that holds every part."""
    with pytest.raises(UsageError, match=".*".join(re.escape(part) for part in parts)) as caught:
        read_dataset(folder)
    assert "\n" not in str(caught.value)


def test_reads_profiles_and_equipment_of_included_buildings(folder: Path) -> None:
    data = read_dataset(folder)
    profile = pd.read_csv(folder / "home_a.csv")
    assert (data.name, data.hours) == ("homes", ROWS)
    assert [building.name for building in data.buildings] == ["a", "b"]
    first, second = data.buildings
    assert (first.pv_kw, first.battery_kwh, first.battery_kw, first.efficiency) == (4.0, 6.4, 5.0, 0.9)
    assert (second.pv_kw, second.battery_kwh, second.battery_kw, second.efficiency) == (0.0, 0.0, 0.0, 1.0)
    np.testing.assert_array_equal(first.demand, profile["Equipment Electric Power [kWh]"])
    np.testing.assert_array_equal(first.solar, profile["Solar Generation [W/kW]"] / 1000)
    np.testing.assert_array_equal(data.price, pd.read_csv(folder / "pricing.csv").iloc[:, 0])
    assert data.hour[:3].tolist() == [23, 0, 1]
    assert read_dataset(str(folder), name="other").name == "other"


def test_arrays_are_float64_and_read_only(folder: Path) -> None:
    data = read_dataset(folder)
    assert data.temperature is not None
    for array in (data.temperature, data.buildings[0].demand, data.buildings[0].solar):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_both_generations_of_column_names_load_equally(tmp_path: Path, folder: Path) -> None:
    newer = write_folder(tmp_path / "newer", generation=1)
    assert "non_shiftable_load" in (newer / "home_a.csv").read_text()
    assert digest(read_dataset(newer, name="homes")) == digest(read_dataset(folder))


def test_a_header_of_2023_is_read(folder: Path) -> None:
    labels = (
        "Month,Hour,Day Type,Indoor Temperature (C),Equipment Electric Power (kWh),DHW Heating (kWh),"
        "Solar Generation (W/kW),HVAC Mode (Off/Cooling/Heating)"
    )
    rows = "".join(f"6,{n % 24 + 1},5,23.1,{0.25 + n},0.05,{10 * n},1\n" for n in range(ROWS))
    for home in ("home_a.csv", "home_b.csv"):
        (folder / home).write_text(f"{labels}\n{rows}")
    first = read_dataset(folder).buildings[0]
    assert (first.demand[:2].tolist(), first.solar[:2].tolist()) == ([0.25, 1.25], [0.0, 0.01])


def write_hours(folder: Path, hours: np.ndarray) -> None:
    for home in ("home_a.csv", "home_b.csv"):
        table = pd.read_csv(folder / home)
        table["Hour"] = hours
        table.to_csv(folder / home, index=False)


def test_an_hour_0_before_hours_from_1_to_24_is_the_midnight_before(folder: Path) -> None:
    expected = read_dataset(folder).hour  # begins with a 24
    hours = np.arange(ROWS)
    write_hours(folder, np.where(hours == 0, 0, (hours - 1) % 24 + 1))
    np.testing.assert_array_equal(read_dataset(folder).hour, expected)


def test_hours_of_two_conventions_that_do_not_advance_are_refused(folder: Path) -> None:
    hours = (np.arange(ROWS) + 23) % 24 + 1  # begins with a 24
    hours[1] = 0
    write_hours(folder, hours)
    assert_refused(folder, "home_a.csv", "'Hour'", "row 2", "0 does not follow the previous row's hour by one")


def test_hours_numbered_from_zero_are_hours_of_day(folder: Path) -> None:
    expected = read_dataset(folder).hour
    for home in ("home_a.csv", "home_b.csv"):
        table = pd.read_csv(folder / home)
        table["Hour"] -= 1
        table.to_csv(folder / home, index=False)
    np.testing.assert_array_equal(read_dataset(folder).hour, expected)


def test_shared_files_may_be_absent_for_all(folder: Path) -> None:
    for building in ("a", "b"):
        for key in ("pricing", "weather", "carbon_intensity"):
            change_schema(folder, ("buildings", building, key), None)
    data = read_dataset(folder)
    assert data.price is None
    assert data.temperature is None
    assert data.carbon is None


def test_missing_folder_schema_and_files_are_named(folder: Path) -> None:
    assert_refused(folder / "nowhere", "nowhere: no such folder")
    (folder / "pricing.csv").unlink()
    assert_refused(folder, "pricing.csv: no such file")
    (folder / "schema.json").unlink()
    assert_refused(folder, "schema.json: no such file")


@pytest.mark.parametrize("text", ["{", "[]", "{}", "[" * 100_000])
def test_unusable_json_is_refused(folder: Path, text: str) -> None:
    (folder / "schema.json").write_text(text)
    assert_refused(folder, "schema.json")


def test_no_included_building_is_refused(folder: Path) -> None:
    for building in ("a", "b"):
        change_schema(folder, ("buildings", building, "include"), False)
    assert_refused(folder, "schema.json", "no included building")


@pytest.mark.parametrize("seconds", [900, None])
def test_other_time_steps_are_refused(folder: Path, seconds: int | None) -> None:
    change_schema(folder, ("seconds_per_time_step",), seconds)
    assert_refused(folder, "schema.json", "seconds_per_time_step", "3600")


@pytest.mark.parametrize(
    ("device", "figures", "problem"),
    [
        ("pv", {"nominal_power": -1}, "nominal_power is -1"),
        ("pv", {"nominal_power": 10**400}, "a number of at most 1e+09 is needed"),
        ("pv", {"nominal_power": 2e9}, "nominal_power is 2000000000.0; a number of at most 1e+09 is needed"),
        ("pv", {"nominal_power": float("nan")}, "nominal_power is nan; a number of at most"),
        ("pv", {"nominal_power": None}, "nominal_power is None"),
        ("electrical_storage", {**BATTERY, "capacity": -1}, "capacity is -1"),
        ("electrical_storage", {**BATTERY, "nominal_power": "5"}, "nominal_power is '5'"),
        ("electrical_storage", {**BATTERY, "efficiency": 0}, "efficiency is 0"),
        ("electrical_storage", {**BATTERY, "efficiency": 1.1}, "efficiency is 1.1"),
        ("electrical_storage", {"capacity": 1, "nominal_power": 1}, "efficiency is None"),
    ],
)
def test_wrong_figures_are_named(folder: Path, device: str, figures: dict[str, Any], problem: str) -> None:
    change_schema(folder, ("buildings", "a", device, "attributes"), copy.deepcopy(figures))
    assert_refused(folder, "schema.json", "'a'", device, problem)


def test_autosized_equipment_is_refused(folder: Path) -> None:
    change_schema(folder, ("buildings", "a", "pv", "autosize"), True)
    assert_refused(folder, "schema.json", "'a'", "pv", "autosize")


def test_buildings_must_share_one_tariff(folder: Path) -> None:
    change_schema(folder, ("buildings", "b", "pricing"), None)
    assert_refused(folder, "schema.json", "'b'", "'pricing' is None", "pricing.csv")


def test_building_without_profile_file_is_refused(folder: Path) -> None:
    change_schema(folder, ("buildings", "b", "energy_simulation"), None)
    assert_refused(folder, "schema.json", "'b'", "energy_simulation is None")


@pytest.mark.parametrize("quantity", list(COLUMN_NAMES))
def test_missing_columns_name_what_is_accepted(folder: Path, quantity: str) -> None:
    older, newer = COLUMN_NAMES[quantity]
    for path in folder.glob("*.csv"):
        pd.read_csv(path).rename(columns={older: "unknown"}).to_csv(path, index=False)
    assert_refused(folder, ".csv: no column for the", quantity, older, newer)


def test_a_key_that_is_there_twice_is_refused(folder: Path) -> None:
    text = (folder / "schema.json").read_text()
    (folder / "schema.json").write_text(text.replace('"pricing"', '"pricing": null, "pricing"', 1))
    assert_refused(folder, "schema.json: the key 'pricing' is there twice in one object; allowed: once")


def test_a_byte_order_mark_is_no_part_of_a_file(folder: Path) -> None:
    expected = digest(read_dataset(folder))
    for path in folder.iterdir():
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert digest(read_dataset(folder)) == expected


@pytest.mark.parametrize("key", [("include",), ("pv", "autosize")])
def test_yes_and_no_are_true_and_false(folder: Path, key: tuple[str, ...]) -> None:
    change_schema(folder, ("buildings", "a", *key), "false")
    assert_refused(folder, "schema.json", "'a'", f"{key[-1]} is 'false'; allowed: true or false")


def test_a_building_without_demand_is_refused(folder: Path) -> None:
    table = pd.read_csv(folder / "home_b.csv")
    table["Equipment Electric Power [kWh]"] = 0.0
    table.to_csv(folder / "home_b.csv", index=False)
    assert_refused(folder, "home_b.csv: column 'Equipment Electric Power [kWh]' is 0 in every row", '"include": false')


@pytest.mark.parametrize(
    ("file", "label", "value", "problem"),
    [
        ("home_b.csv", "Equipment Electric Power [kWh]", np.nan, "NaN or empty"),
        ("home_b.csv", "Equipment Electric Power [kWh]", -0.5, "-0.5 is a negative demand"),
        ("home_b.csv", "Equipment Electric Power [kWh]", "much", "'much' is not a number"),
        ("home_a.csv", "Solar Generation [W/kW]", -2, "-2 is a negative solar"),
        ("home_a.csv", "Solar Generation [W/kW]", "inf", "inf is not finite"),
        ("pricing.csv", "Electricity Pricing [$/kWh]", "NA", "NaN or empty"),
        ("weather.csv", "Outdoor Drybulb Temperature [C]", "cold", "'cold' is not a number"),
        ("carbon.csv", "kg_CO2/kWh", np.nan, "NaN or empty"),
        ("home_b.csv", "Hour", 7, "7 differs from the hour in"),
    ],
)
def test_wrong_cells_are_named_by_file_column_and_row(
    folder: Path, file: str, label: str, value: Any, problem: str
) -> None:
    change_cell(folder / file, label, 5, value)
    change_cell(folder / file, label, 9, value)
    assert_refused(folder, file, repr(label), "row 5", problem)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (9, "9 does not follow the previous row's hour by one"),
        (25, "25 is not a whole hour of 1..24"),
        (3.5, "3.5 is not a whole hour of 1..24"),
    ],
)
def test_hours_that_do_not_advance_are_refused(folder: Path, value: float, problem: str) -> None:
    for home in ("home_a.csv", "home_b.csv"):
        change_cell(folder / home, "Hour", 5, value)
    assert_refused(folder, "home_a.csv", "'Hour'", "row 5", problem)


@pytest.mark.parametrize("file", ["home_b.csv", "pricing.csv", "weather.csv", "carbon.csv"])
def test_files_of_unequal_length_are_refused(folder: Path, file: str) -> None:
    pd.read_csv(folder / file).iloc[:-2].to_csv(folder / file, index=False)
    assert_refused(folder, file, "ends at row 28", "home_a.csv has 30 rows")


def test_empty_files_are_refused(folder: Path) -> None:
    header = (folder / "home_a.csv").read_text().splitlines()[0]
    (folder / "home_a.csv").write_text(header + "\n")
    assert_refused(folder, "home_a.csv", "'Hour'", "no rows")
    (folder / "home_a.csv").write_text("")
    assert_refused(folder, "home_a.csv", "not a readable CSV")
