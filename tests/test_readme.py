"""What the README claims is what is published."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from helpers.command_line import call

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
TABLES_AND_PAGES = runpy.run_path(str(ROOT / "docs" / "tables.py"))
PAGES, PRINTED, table_of = (TABLES_AND_PAGES[name] for name in ("PAGES", "PRINTED", "table_of"))
TABLES = [
    pytest.param(found["words"], found["table"], id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, found in enumerate(PRINTED.finditer(page.read_text(encoding="utf-8")))
]


def test_the_readme_shows_a_table() -> None:
    (printed,) = PRINTED.finditer(README)
    assert printed["words"].startswith("report core --published --summary ")
    for method in ("lookahead", "consensus-gossip", "mappo-augmented", "serve_now"):
        assert f"| `{method}` " in printed["table"]


@pytest.mark.parametrize(("words", "table"), TABLES)
def test_a_table_is_what_its_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, table: str
) -> None:
    monkeypatch.chdir(ROOT)
    status, said, _ = call(monkeypatch, capsys, *shlex.split(words))
    assert status == 0
    assert table_of(said) == table, "write the tables anew: make tables"


def test_the_method_of_the_readme_is_the_one_that_the_examples_run() -> None:
    example = (ROOT / "examples" / "own_method.py").read_text(encoding="utf-8")
    method = example.partition("# --8<-- [start:method]\n")[2].partition("# --8<-- [end:method]")[0].strip()
    assert f"```python\n{method}\n```" in README


def test_every_file_that_the_readme_shows_exists() -> None:
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", README)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
