"""What the README claims is what is published."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
ROW = re.compile(r"^\| `(?P<scenario>[^`]+)` \| `(?P<method>[^`]+)`(?: \[(?P<variant>\w+)\])? \|(?P<cells>.*)\|$", re.M)
CAPTION = re.compile(r"results/(\w+)/leaderboard\.md")
# Several scenarios side by side: a header of addresses, then a cell of each per method.
WIDE = re.compile(r"^\| method \| (?P<scenarios>`.+`) \|\n\|[-|]+\|\n(?P<rows>(?:\|.+\|\n)+)", re.M)
METHOD = re.compile(r"`(?P<method>[^`]+)`(?: \[(?P<variant>\w+)\])?")


def shown() -> list[dict[str, str]]:
    """Every row of the tables, with the suite that the caption below its table names first."""
    rows = []
    for match in ROW.finditer(README):
        caption = CAPTION.search(README, match.end())
        assert caption is not None, match[0]
        rows.append(match.groupdict() | {"suite": caption[1]})
    return rows


ROWS = shown()


def shown_side_by_side() -> list[dict[str, str]]:
    """Every cell that is not empty of the tables with a column per scenario."""
    cells = []
    for match in WIDE.finditer(README):
        caption = CAPTION.search(README, match.end())
        assert caption is not None
        scenarios = [part.strip(" `") for part in match["scenarios"].split("|")]
        for row in match["rows"].splitlines():
            named, *values = (part.strip() for part in row.strip("|").split("|"))
            method = METHOD.fullmatch(named)
            assert method is not None, row
            for scenario, value in zip(scenarios, values, strict=True):
                cells.append(method.groupdict() | {"suite": caption[1], "scenario": scenario, "cell": value})
    return [cell for cell in cells if cell["cell"]]


CELLS = shown_side_by_side()


def published(suite: str, scenario: str, method: str, variant: str | None) -> pd.Series:
    table = pd.read_csv(ROOT / "results" / suite / "leaderboard.csv", keep_default_na=False, na_values=[""])
    chosen = (table["scenario"] == scenario) & (table["method"] == method)
    chosen &= table["variant"].fillna("") == (variant or "")
    assert chosen.sum() == 1, (scenario, method, variant)
    return table[chosen].iloc[0]


def test_the_readme_shows_a_table() -> None:
    assert len(ROWS) >= 12
    assert {row["suite"] for row in ROWS} == {"paper"}
    assert {row["method"] for row in ROWS} >= {"consensus-gossip", "serve_now", "oracle"}
    assert {cell["suite"] for cell in CELLS} == {"core"}
    assert {cell["method"] for cell in CELLS} >= {"consensus-gossip", "mappo-augmented", "serve_now", "oracle"}
    published = pd.read_csv(ROOT / "results" / "core" / "leaderboard.csv")
    assert len(CELLS) == len(published), "the whole leaderboard is shown"


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c['scenario']} {c['method']} {c['variant'] or ''}")
def test_every_cell_is_the_published_one(cell: dict[str, str]) -> None:
    found = published(cell["suite"], cell["scenario"], cell["method"], cell["variant"])
    over = f"{100 * found['violation']:.1f}"
    words = [f"{100 * found['optimality_gap']:.1f}"]
    words += [f"{over} over"] * (float(over) > 0)
    words += ["postpones"] * bool(re.search("postpones|both", found["verdict"]))
    feasible = round(found["feasible_rate"] * found["seeds"])
    assert cell["cell"] == f"{', '.join(words)} ({feasible}/{found['seeds']:.0f})"


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row['suite']} {row['scenario']} {row['method']} {row['variant'] or ''}"
)
def test_every_figure_of_the_table_is_the_published_one(row: dict[str, str]) -> None:
    verdict, gap, violation, delay, peak = (cell.strip(" *") for cell in row["cells"].split("|"))
    found = published(row["suite"], row["scenario"], row["method"], row["variant"])
    assert verdict == found["verdict"]
    for shown, name, factor, digits in (
        (gap, "optimality_gap", 100, 1),
        (violation, "violation", 100, 1),
        (delay, "delay", 1, 1),
        (peak, "import_peak", 100, 0),
    ):
        expected = "" if pd.isna(found[name]) else f"{factor * found[name]:.{digits}f}"
        assert shown == expected, name


def tables_of(text: str) -> list[tuple[list[str], list[list[str]]]]:
    """Headings and rows of every table in a text."""
    found = []
    for match in re.finditer(r"^(\|.+\|)\n\|[-|]+\|\n((?:\|.+\|\n)+)", text, re.M):
        heading, *rows = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in (match[1], *match[2].splitlines())
        )
        found.append((heading, rows))
    return found


def test_the_table_of_scale_is_the_published_one() -> None:
    (published, rows), *_ = tables_of((ROOT / "results" / "scale" / "scale.md").read_text())
    shown = [table for table in tables_of(README) if "training grows as N^" in table[0]]
    assert len(shown) == 1
    columns = [published.index(heading) for heading in shown[0][0]]
    assert shown[0][1] == [[row[column] for column in columns] for row in rows]


def test_the_table_of_quality_is_the_published_one() -> None:
    published = tables_of((ROOT / "results" / "scale" / "quality.md").read_text())
    shown = [table for table in tables_of(README) if "64 agents" in table[0]]
    assert shown == published


def test_the_table_of_allocation_is_the_published_one() -> None:
    whole = pd.read_csv(ROOT / "results" / "allocation" / "leaderboard.csv", keep_default_na=False, na_values=[""])
    ((heading, rows),) = (table for table in tables_of(README) if table[0][0] == "allocation")
    cells = 0
    for named, *values in rows:
        method = METHOD.fullmatch(named)
        assert method is not None, named
        for size, value in zip(heading[1:], values, strict=True):
            if value:
                cells += 1
                address = f"allocation_{size}/radius-1/steady"
                found = published("allocation", address, method["method"], method["variant"])
                assert value == f"{found['episode_return']:.2f} ({100 * found['served']:.0f} %)", (named, size)
    steady = whole["scenario"].str.endswith("/radius-1/steady")
    assert cells == steady.sum(), "every method and variant is shown where nothing changes"


def test_every_file_that_the_readme_shows_exists() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) <= targets
