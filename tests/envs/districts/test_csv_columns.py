"""Columns of a CSV file by any of their names, and what is said where one is missing."""

from pathlib import Path

import pytest

from accord.envs.districts.csv_columns import read_columns
from accord.envs.errors import UsageError

NAMES = {"hour": ("Hour", "hour"), "demand": ("Equipment Electric Power [kWh]", "non_shiftable_load")}


def write(folder: Path, text: str) -> Path:
    path = folder / "home.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header",
    [
        "Hour,Equipment Electric Power [kWh]",
        "hour,non_shiftable_load",
        "Hour,Equipment Electric Power (kWh)",  # as in CityLearn's sets of 2023
        " HOUR ,EQUIPMENT  ELECTRIC POWER [KWH]",
        '"hour","Equipment Electric Power (kWh)"',
    ],
)
def test_names_may_differ_in_brackets_blanks_and_capitals(tmp_path: Path, header: str) -> None:
    found = read_columns(write(tmp_path, f"{header}\n1,0.5\n2,0.25\n"), NAMES)
    assert {name: column.values.tolist() for name, column in found.items()} == {"hour": [1, 2], "demand": [0.5, 0.25]}


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    path = write(tmp_path, "a,non_shiftable_load,b,hour\nx,0.5,,1\n")
    found = read_columns(path, NAMES)
    assert [found[name].values.tolist() for name in NAMES] == [[1], [0.5]]
    assert found["demand"].label == "non_shiftable_load"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "no column for the hour; it must be named 'Hour' or 'hour'; the columns are 'a', 'b'$"),
        (",".join(f"c{n}" for n in range(30)), "the columns are 'c0', .*'c19' and 10 more$"),
        ("Hour;Load\n1;2,5\n", "separated by semicolons here and must be separated by commas$"),
        ("Hour\tLoad\n1\t2\n", "separated by tabs here and must"),
        ("Hour|Load\n1|2\n", "separated by bars here and must"),
        ("load\n1\n", "the columns are 'load'$"),
        ("Hour,HOUR,non_shiftable_load\n1,1,2\n", "2 columns for the hour: 'Hour' and 'HOUR'; allowed: one$"),
        ("\n1,2\n", "not a readable CSV file: its first line is empty; allowed: names of columns$"),
        ("", "not a readable CSV file: its first line is empty"),
    ],
)
def test_what_the_header_holds_is_said(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=f"home.csv: .*{problem}"):
        read_columns(write(tmp_path, text), NAMES)


def test_a_row_with_more_numbers_than_names_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "hour,non_shiftable_load\n1,0\n\n2,0,25\n")  # a decimal comma would be read as 0
    with pytest.raises(UsageError, match=r"home.csv: row 2 has 3 cells for 2 columns; .* a decimal point"):
        read_columns(path, NAMES)


def test_a_comma_at_the_end_of_rows_is_no_cell(tmp_path: Path) -> None:
    found = read_columns(write(tmp_path, "hour,non_shiftable_load\n1,0.5,\n2,0.25,\n"), NAMES)
    assert found["demand"].values.tolist() == [0.5, 0.25]


def test_a_figure_beyond_any_unit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"row 2: 1e\+30 is beyond 1e\+09, which no figure of a building"):
        read_columns(write(tmp_path, "Hour,non_shiftable_load\n1,0.5\n2,1e30\n"), NAMES)


@pytest.mark.parametrize("cell", ["1_0", "٣"])
def test_what_only_python_takes_for_a_number_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(UsageError, match=f"row 2: '{cell}' is not a number"):
        read_columns(write(tmp_path, f"hour,non_shiftable_load\n1,0.5\n2,{cell}\n"), NAMES)


def test_a_long_cell_is_not_shown_whole(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a number") as caught:
        read_columns(write(tmp_path, f"hour,non_shiftable_load\n1,{'x' * 5000}\n"), NAMES)
    assert len(str(caught.value)) < 300
