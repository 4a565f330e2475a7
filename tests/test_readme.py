"""What the README claims is what is published."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CAPTION = re.compile(r"results/(\w+)/leaderboard\.md")
# Several scenarios side by side: a header of addresses, then a cell of each per method.
WIDE = re.compile(r"^\| method \| (?P<scenarios>`.+`) \|\n\|[-|]+\|\n(?P<rows>(?:\|.+\|\n)+)", re.M)
METHOD = re.compile(r"`(?P<method>[^`]+)`(?: \[(?P<variant>\w+)\])?")


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
    assert {cell["suite"] for cell in CELLS} == {"core"}
    assert {cell["method"] for cell in CELLS} >= {"consensus-gossip", "mappo-augmented", "serve_now", "oracle"}


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c['scenario']} {c['method']} {c['variant'] or ''}")
def test_every_cell_is_the_published_one(cell: dict[str, str]) -> None:
    found = published(cell["suite"], cell["scenario"], cell["method"], cell["variant"])
    gap, low, high = (f"{100 * found[f'optimality_gap{end}']:.1f}" for end in ("", "_low", "_high"))
    over = f"{100 * found['violation']:.1f}"
    words = [gap if low in (high, "nan") else f"{gap} [{low}, {high}]"]
    words += [f"{over} over"] * (float(over) > 0)
    words += ["postpones"] * bool(re.search("postpones|both", found["verdict"]))
    feasible = round(found["feasible_rate"] * found["seeds"])
    assert cell["cell"] == f"{', '.join(words)} ({feasible}/{found['seeds']:.0f})"


def test_every_file_that_the_readme_shows_exists() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
