"""What the README claims is what is published."""

import re
import shlex
from pathlib import Path

import pytest
from helpers.command_line import call

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
# A comment with the command that prints a table, and the table.
PRINTED = re.compile(r"<!-- accord (?P<words>.+) -->\n(?P<table>(?:\|.+\|\n)+)")


def test_the_table_is_what_its_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    (printed,) = PRINTED.finditer(README)
    words = shlex.split(printed["words"])
    assert words[:3] == ["report", "core", "--published"]
    status, said, _ = call(monkeypatch, capsys, *words)
    assert status == 0
    assert said.partition("\n\n")[0] + "\n" == printed["table"]
    for method in ("lookahead", "consensus-gossip", "mappo-augmented", "serve_now"):
        assert f"| `{method}` " in said


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
