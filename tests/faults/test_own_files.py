"""Districts and edges of one's own, written wrong: refused by the name of the file, or read for what they say."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
from helpers.cases import Draw
from helpers.damage import DAMAGES
from helpers.district_folder import write_folder

from accord.envs.catalogue import resolve
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError

HOURS = 672
NO_FIGURE = (
    "",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "abc",
    "1,5",
    "0x10",
    "1e10",
    "--1",
    "1 2",
    "٣a",
    "1_0",
    "None",
    "½",
    "-1e9999",
)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        3600.5,
        10**400,
        1e308,
        "",
        "text",
        "no.csv",
        "../..",
        "/dev/zero",
        [],
        {},
        [1],
        {"a": 1},
    ),
    *("\0", "home_1.csv", "pricing.csv", "schema.json", 3600, "a" * 5000, "\ud800"),
)


def cell(path: Path, generator: Random) -> bool:
    """Another word in the place of a figure."""
    table = pd.read_csv(path, dtype=str)
    column, row = generator.choice(list(table)), generator.randrange(len(table))
    table.loc[row, column] = generator.choice(NO_FIGURE)
    table.to_csv(path, index=False)
    return True


def negative(path: Path, generator: Random) -> bool:
    """A figure below 0, which a tariff may have."""
    table = pd.read_csv(path, dtype=str)
    column = generator.choice(list(table))
    table.loc[generator.randrange(len(table)), column] = "-0.5"
    table.to_csv(path, index=False)
    return column != "electricity_pricing"


def rows(path: Path, generator: Random) -> bool:
    """A row that is gone, twice there or in another's place."""
    header, *lines = path.read_text().splitlines()
    at = generator.randrange(1, len(lines) - 1)
    kind = generator.choice(("gone", "twice", "short", "long"))
    lines[at : at + 1] = {
        "gone": [],
        "twice": [lines[at]] * 2,
        "short": [lines[at].rpartition(",")[0]],
        "long": [f"{lines[at]},1,2"],
    }[kind]
    path.write_text("\n".join([header, *lines]) + "\n")
    return True


def header(path: Path, generator: Random) -> bool:
    """A name of a column that is another, gone or twice there."""
    first, rest = path.read_text().split("\n", 1)
    names = first.split(",")
    at = generator.randrange(len(names))
    kind = generator.choice(("other", "twice", "none"))
    if kind == "twice" and len(names) == 1:
        kind = "other"
    if kind == "twice":
        names[at] = names[at - 1]
    else:
        names[at] = {"other": generator.choice(("load", "hours", "0", "prix", "\ufeffx")), "none": ""}[kind]
    path.write_text(",".join(names) + "\n" + rest)
    return True


def separators(path: Path, generator: Random) -> bool:
    """Cells in another way."""
    text = path.read_text().replace(",", generator.choice(";\t|"))
    kind = generator.choice(("decimal commas", "utf-16", "none"))
    if kind == "decimal commas":
        text = text.replace(".", ",")
    path.write_bytes(text.encode("utf-16" if kind == "utf-16" else "utf-8"))
    return "," in text or kind == "utf-16" or path.name.startswith("home")


def value(path: Path, generator: Random) -> bool:
    """Another value at some place of the schema."""
    content = json.loads(path.read_text())
    place: Any = content
    while True:
        key = generator.choice(list(place))
        if not isinstance(place[key], dict) or not place[key] or generator.random() < 0.2:
            break
        place = place[key]
    if generator.random() < 0.2:
        del place[key]
    else:
        place[key] = generator.choice(VALUES)
    path.write_text(json.dumps(content))
    return False


def bytes_of(path: Path, generator: Random) -> bool:
    """Damage to the bytes, which may still say something."""
    path.write_bytes(generator.choice(list(DAMAGES.values()))(path.read_bytes(), generator))
    return False


CHANGES: dict[str, tuple[Callable[[Path, Random], bool], ...]] = {
    ".csv": (cell, cell, negative, rows, header, separators, bytes_of),
    ".json": (value, value, value, bytes_of),
}


def check_read(scenario: DistrictScenario, folder: Path) -> None:
    """Figures are those that pandas finds in the files."""
    district = scenario.district
    schema = json.loads((folder / "schema.json").read_text(encoding="utf-8-sig"))
    included = [entry for entry in schema["buildings"].values() if entry.get("include", True)]
    assert district.n_agents == len(included)
    for row, entry in enumerate(included):
        table = pd.read_csv(folder / entry["energy_simulation"])
        table.columns = table.columns.str.strip().str.lower()
        assert district.demand_profiles[row].tolist() == table["non_shiftable_load"].tolist()
        assert (district.demand_profiles[row] >= 0).all()
    assert district.price.tolist() == pd.read_csv(folder / included[0]["pricing"])["electricity_pricing"].tolist()
    assert all(part.isfinite().all() for part in (district.solar_profiles, district.pv_kw, district.battery_kwh))


def test_a_folder_is_refused_by_the_name_of_its_file_or_read_for_what_it_says(draw: Draw, tmp_path: Path) -> None:
    wrong, accepted = [], 0
    sound = {path.name: path.read_bytes() for path in write_folder(tmp_path / "own", HOURS).iterdir()}
    for number, (name, generator) in enumerate(draw("districts of one's own", 300)):
        folder = tmp_path / f"own_{number}"
        folder.mkdir()
        for file, content in sound.items():
            (folder / file).write_bytes(content)
        path = folder / generator.choice(("schema.json", "home_1.csv", "home_2.csv", "pricing.csv"))
        change = generator.choice(CHANGES[path.suffix])
        certain = change(path, generator)
        case = f"{name}, {change.__name__} of {path.name}"
        try:
            scenario = resolve(f"folder:{folder}/complete/average-0.4")
        except UsageError as mistake:
            if str(folder) not in str(mistake) and "though schema.json names it" not in str(mistake):
                wrong.append(f"{case}: no file is named: {mistake}"[:300])
            continue
        except Exception as fault:
            wrong.append(f"{case}: {type(fault).__name__}: {fault}"[:300])
            continue
        if certain:
            wrong.append(f"{case}: accepted")
            continue
        accepted += 1
        try:
            assert isinstance(scenario, DistrictScenario)
            check_read(scenario, folder)
        except Exception as fault:
            wrong.append(f"{case}: read as {type(fault).__name__} {fault}"[:300])
    assert not wrong, "\n".join(wrong)
    assert accepted


LINES = (
    *(
        "0 0",
        "0 7",
        "-1 2",
        "0 1 2 3",
        "0",
        "a b",
        "0 1.5",
        "0 1 0",
        "0 1 -1",
        "0 1 nan",
        "0 1 1.2.3",
        "0 1 .",
        "0 1 1e999",
    ),
    *("٣ 4", "0x1 2", "1_0 2", "0 " + "9" * 5000, "0\0 1", "0;;1", "{", "0 1 inf", "1e0 2", "+1 2", "0 ½"),
)
PLAIN = re.compile(r"([0-6])[ ,;\t]+([0-6])")


def test_a_file_of_edges_is_refused_by_its_name_or_read_for_what_it_says(draw: Draw, tmp_path: Path) -> None:
    wrong, accepted = [], 0
    for number, (name, generator) in enumerate(draw("files of edges", 200)):
        path = tmp_path / f"edges_{number}.txt"
        separator = generator.choice((" ", ",", ";", "\t", ", "))
        lines = [f"{i}{separator}{i + 1}" for i in range(6)]
        content, kind = "\n".join(lines), generator.choice(("line", "line", "gone", "bytes"))
        if kind == "line":
            lines.insert(generator.randrange(7), generator.choice(LINES))
            content = "\n".join(lines)
        elif kind == "gone":
            gone = generator.randrange(6)
            content = "\n".join(lines[:gone] + lines[gone + 1 :])
        raw = content.encode()
        path.write_bytes(generator.choice(list(DAMAGES.values()))(raw, generator) if kind == "bytes" else raw)
        case = f"{name}, {kind}: {path.read_bytes()!r}"[:300]
        try:
            network = resolve(f"paper_seven/edges:{path}/average-0.4").network()
        except UsageError as mistake:
            if str(path) not in str(mistake):
                wrong.append(f"{case}: no file is named: {mistake}"[:400])
            continue
        except Exception as fault:
            wrong.append(f"{case}: {type(fault).__name__}: {fault}"[:400])
            continue
        accepted += 1
        found = [PLAIN.fullmatch(line.split("#")[0].split("%")[0].strip()) for line in path.read_text().splitlines()]
        said = sorted(sorted(map(int, match.groups())) for match in found if match)
        if kind != "bytes" or network.edges.tolist() != said:
            wrong.append(f"{case}: accepted as {network.edges.tolist()}")
    assert not wrong, "\n".join(wrong)
    assert accepted
