"""What there is by name, from a file: what the registries hold, and never what they held before."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import call_anew

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.index import Index, index, kept_at, stamp
from accord.benchmark.specs.settings import settings_of

BROKEN = "raise KeyError('nothing here')\n"
PLUG_IN = """
from accord.baselines.registry import METHODS, register


@register("half-now", "nothing")
class HalfNow(METHODS["serve_now"].method):
    '''Serves half of what waits.'''
"""


@pytest.fixture
def plug_in(tmp_path: Path) -> Callable[[str], Path]:
    """Write a package that plugs in, with this as its code; the folder that it is found in."""

    def write(code: str) -> Path:
        about = tmp_path / "installed" / "half_package-1.dist-info"
        about.mkdir(parents=True, exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: half-package\nVersion: 1\n")
        (about / "entry_points.txt").write_text("[accord.methods]\nhalf = half_package\n")
        (about.parent / "half_package.py").write_text(code)
        return about.parent

    return write


def names(table: str) -> list[str]:
    """The first column of a table in Markdown."""
    return [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")][2:]


def test_the_second_list_is_the_first_without_torch(
    tmp_path: Path, plug_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = os.pathsep.join([str(plug_in(BROKEN)), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path, "COLUMNS": "200"}
    known = sorted([*METHODS, *REFERENCES])
    kept_at().parent.mkdir(parents=True)
    kept_at().write_text('{"sources": "cut short')

    said, told, _ = call_anew("methods", **environment)
    assert sorted(names(said)) == known
    assert "entry point 'half' in accord.methods is passed over" in told
    assert kept_at().read_text() == '{"sources": "cut short', "what is broken may be mended elsewhere"

    plug_in(PLUG_IN)
    first, told, loaded = call_anew("methods", **environment)
    assert sorted(names(first)) == sorted([*known, "half-now"])
    assert "passed over" not in told
    assert "torch" in loaded.split()

    second, told, loaded = call_anew("methods", **environment)
    assert (second, told, loaded) == (first, "", "")
    for words, there in ((("list",), "| violation "), (("settings", "half-now"), ""), (("districts",), "lbf/")):
        said, told, loaded = call_anew(*words, **environment)
        assert there in said
        assert (told, loaded) == ("", "")


def test_it_holds_what_the_registries_hold() -> None:
    found = index()
    assert sorted(row[0] for row in found.methods) == sorted([*METHODS, *REFERENCES])
    assert [row[0] for row in found.metrics] == list(METRICS)
    for name, rows in found.settings.items():
        assert rows == [[s.name, s.default, s.unit, s.allowed, s.meaning] for s in settings_of(name)]
    assert Index.model_validate_json(found.model_dump_json()) == found


def test_the_stamp_changes_with_what_plugs_in_and_with_its_files_alone(
    plug_in: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamp()
    assert stamp() == before
    folder = plug_in(PLUG_IN)
    monkeypatch.syspath_prepend(folder)
    installed = stamp()
    assert installed != before
    (folder / "notes.txt").write_text("no source")
    assert stamp() == installed
    plug_in(PLUG_IN.replace("half of", "half of all"))
    assert stamp() != installed
