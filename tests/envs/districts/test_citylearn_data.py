"""The shipped data: known figures of the real sets, digests, and rebuilding from a wheel."""

import dataclasses
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.envs.districts import citylearn_data
from accord.envs.districts.citylearn_data import DATASETS, DIGESTS, build, digest, digest_of, load, read_store
from accord.envs.districts.citylearn_schema import Dataset
from accord.envs.errors import UsageError


def changed(data: Dataset, **fields: Any) -> Dataset:
    """A copy whose first building has other fields."""
    first = dataclasses.replace(data.buildings[0], **fields)
    return dataclasses.replace(data, buildings=(first, *data.buildings[1:]))


def write_wheel(folder: Path, name: str) -> Path:
    """A wheel that holds one day of one building."""
    entry = {"include": True, "energy_simulation": "home.csv", "pricing": "home.csv"}
    schema = {"seconds_per_time_step": 3600, "buildings": {"home": entry}}
    header = "hour,non_shiftable_load,solar_generation,electricity_pricing"
    rows = [f"{hour},0.1,{hour / 7!r},0.{hour}" for hour in range(1, 25)]
    wheel = folder / "tiny.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"citylearn/data/{name}/schema.json", json.dumps(schema))
        archive.writestr(f"citylearn/data/{name}/home.csv", "\n".join([header, *rows]) + "\n")
        archive.writestr("citylearn/data/other/schema.json", "not read")
    return wheel


def test_baeda_has_the_figures_of_the_paper() -> None:
    data = load("baeda_3dem")
    building = data.buildings[3]
    assert (data.hours, building.name, building.pv_kw) == (2928, "Building_4", 120.0)
    assert building.demand.max() == pytest.approx(56.73, abs=0.005)
    assert (building.battery_kwh, building.battery_kw, building.efficiency) == (0.0, 0.0, 1.0)
    assert data.price is not None
    assert data.price.mean() == pytest.approx(0.05113, abs=5e-6)
    assert data.carbon is None
    assert data.hour[0] == 0


def test_2022_has_seventeen_homes_and_starts_in_the_last_hour_of_a_day() -> None:
    data = load("citylearn_challenge_2022_phase_all")
    assert (data.hours, len(data.buildings)) == (8760, 17)
    assert data.hour[:2].tolist() == [23, 0]
    assert {b.pv_kw for b in data.buildings} == {4.0, 5.0}
    assert {(b.battery_kwh, b.battery_kw, b.efficiency) for b in data.buildings} == {(6.4, 5.0, 0.9)}
    assert data.buildings[0].demand[0] == 2.2758
    assert data.price is not None
    assert data.price[0] == 0.22
    assert data.carbon is not None


def test_2021_has_nine_buildings_five_without_pv_and_no_tariff() -> None:
    data = load("citylearn_challenge_2021")
    assert (data.hours, len(data.buildings)) == (4 * 8760, 9)
    without = [b for b in data.buildings if b.pv_kw == 0]
    assert len(without) == 5
    assert all((b.solar == 0).all() for b in without)
    first = data.buildings[0]
    assert (first.battery_kwh, first.battery_kw, first.efficiency, first.pv_kw) == (140.0, 75.0, 0.9, 120.0)
    assert data.price is None
    assert data.temperature is not None


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_sets_have_their_digests(name: str) -> None:
    assert digest(load(name)) == digest_of(name) == DIGESTS[name]


def test_load_returns_the_same_object_each_time() -> None:
    assert load("baeda_3dem") is load("baeda_3dem")


def test_digest_depends_on_every_value_figure_and_name() -> None:
    data = load("baeda_3dem")
    building = data.buildings[0]
    assert data.price is not None
    demand = building.demand.copy()
    demand[-1] = np.nextafter(demand[-1], 1e9)
    variants = [
        changed(data, demand=demand),
        changed(data, demand=building.solar, solar=building.demand),
        changed(data, efficiency=0.9),
        changed(data, name="Building_X"),
        dataclasses.replace(data, name="other"),
        dataclasses.replace(data, price=None),
        dataclasses.replace(data, price=None, carbon=data.price),
        dataclasses.replace(data, hour=np.roll(data.hour, 1)),
        dataclasses.replace(data, buildings=data.buildings[::-1]),
    ]
    assert len({digest(data), *map(digest, variants)}) == len(variants) + 1


def test_digest_ignores_the_byte_order_of_arrays() -> None:
    data = load("baeda_3dem")
    assert digest(changed(data, demand=data.buildings[0].demand.astype(">f8"))) == digest(data)


@pytest.mark.parametrize("ask", [load, digest_of])
def test_unknown_sets_are_refused_with_the_list(ask: Any) -> None:
    with pytest.raises(UsageError, match=r"no data set 'nowhere'.*baeda_3dem.*2021"):
        ask("nowhere")


def test_missing_store_and_missing_set_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.parquet: no such file; `make data`"):
        read_store(tmp_path / "absent.parquet", "baeda_3dem")
    with pytest.raises(UsageError, match="no data set 'nowhere'"):
        read_store(citylearn_data.STORE, "nowhere")


def test_build_keeps_what_the_csv_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel, target = write_wheel(tmp_path, "tiny"), tmp_path / "tiny.parquet"
    monkeypatch.setattr(citylearn_data, "DATASETS", ("tiny",))
    monkeypatch.setattr(citylearn_data, "DIGESTS", {"tiny": "0" * 64})
    with pytest.raises(UsageError, match=r"tiny\.whl: tiny has digest [0-9a-f]{64}") as caught:
        build(wheel, target)
    assert not target.exists()

    found = str(caught.value).split("digest ")[1][:64]
    monkeypatch.setattr(citylearn_data, "DIGESTS", {"tiny": found})
    build(wheel, target)
    data = read_store(target, "tiny")
    assert digest(data) == found
    assert data.hour.tolist() == list(range(24))
    assert data.buildings[0].solar.tolist() == [hour / 7 / 1000 for hour in range(1, 25)]
    assert data.temperature is None


def test_build_refuses_what_is_not_a_wheel_with_the_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="baeda_3dem: no such folder"):
        build(write_wheel(tmp_path, "tiny"), tmp_path / "out.parquet")
    (tmp_path / "text.whl").write_text("text")
    with pytest.raises(UsageError, match="not a readable wheel"):
        build(tmp_path / "text.whl", tmp_path / "out.parquet")


def test_failed_download_is_one_line_and_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="warning\nERROR: no network\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert citylearn_data.main() == 1
    assert capsys.readouterr().err == (
        "citylearn==2.1.2: no download; is the package index reachable? ERROR: no network\n"
    )


def test_another_wheel_is_refused_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = write_wheel(tmp_path, "tiny")
    monkeypatch.setattr(citylearn_data, "_download", lambda _: wheel)
    assert citylearn_data.main() == 1
    assert "tiny.whl: sha256 is" in capsys.readouterr().err
