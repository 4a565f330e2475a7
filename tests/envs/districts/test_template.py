"""The folder to fill in is a district as it is."""

import json
from pathlib import Path

import pandas as pd
import pytest

from accord.envs.districts.named import make_district
from accord.envs.districts.template import write_template
from accord.envs.errors import UsageError


def test_the_folder_loads_and_its_numbers_make_sense(tmp_path: Path) -> None:
    files = write_template(tmp_path / "mine", "accord run it")
    assert sorted(files) == sorted((tmp_path / "mine").iterdir())
    district = make_district(f"folder:{tmp_path / 'mine'}")
    assert (district.name, district.n_agents, district.hours) == ("mine", 1, 6 * 7 * 24)
    assert district.hour[:2].tolist() == [0, 1]
    by_hour = district.demand(0, district.hours).view(-1, 24).mean(0)
    assert int(by_hour.argmax()) in (18, 19)
    sun = district.solar(0, district.hours).view(-1, 24).mean(0)
    assert sun[[0, 5, 18, 23]].tolist() == [0] * 4
    assert int(sun.argmax()) in (11, 12)


def test_every_row_is_marked_as_an_example(tmp_path: Path) -> None:
    for file in write_template(tmp_path, "accord run it"):
        if file.suffix == ".csv":
            assert set(pd.read_csv(file)["note"]) == {"example"}
    assert set(json.loads((tmp_path / "schema.json").read_text())["buildings"]) == {"home_1"}
    assert "`accord run it`" in (tmp_path / "README.md").read_text()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "notes.txt"
    kept.write_text("mine")
    with pytest.raises(UsageError, match="holds files already; allowed: a new or an empty folder"):
        write_template(tmp_path, "")
    with pytest.raises(UsageError, match=r"notes.txt: is a file; allowed"):
        write_template(kept, "")
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert kept.read_text() == "mine"
