"""What a disk or a person does to any file of a store or of results/: it is named, made again, or harmless."""

import shutil
from pathlib import Path

import pytest
from helpers.cases import Draw
from helpers.command_line import call
from helpers.damage import DAMAGES
from helpers.records import numbers

from accord.benchmark.launch import launch
from accord.benchmark.launch.local import Here
from accord.benchmark.records.store import Store
from accord.benchmark.report import publish
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import load_suite

COMMANDS = (["report", "tiny"], ["store", "check"], ["report", "tiny", "--published"], ["run", "tiny", "--dry-run"])
MEASURED = {"records", "policies", "contexts"}  # folders of a store whose files are read for numbers


@pytest.fixture
def copied(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sweep's folder, to be harmed: the current one."""
    monkeypatch.setattr(publish, "is_uncommitted", lambda record: False)
    folder = tmp_path / "copied"
    monkeypatch.chdir(tmp_path)
    return folder


def measured() -> dict[str, object]:
    store = Store(Path("runs"))
    return {record.spec.label: numbers(record, store) for record in store.records()}


def test_a_damaged_store_is_made_good(sweep: Path, copied: Path, draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(sweep, copied)
    monkeypatch.chdir(copied)
    suite, expected, kinds = load_suite("tiny.yaml"), measured(), set[str]()
    files = sorted(path for path in Path("runs").rglob("*") if path.is_file() and path.parts[1] in MEASURED)
    for name, generator in draw("damage of a store", 400):
        path, damage = generator.choice(files), generator.choice(sorted(DAMAGES))
        kinds.add(f"{path.parts[1]} {path.name if path.parts[1] != 'contexts' else ''} {damage}")
        path.write_bytes(DAMAGES[damage](path.read_bytes(), generator))
        assert not launch(runs_of(suite), Store(Path("runs")), launcher=Here()).failed, (name, path, damage)
        assert measured() == expected, (name, path, damage)
        if not path.exists() or path.read_bytes() != (sweep / path).read_bytes():
            shutil.rmtree("runs")
            shutil.copytree(sweep / "runs", "runs")
    assert len(kinds) >= 4 * len(DAMAGES)


def test_damage_of_any_file_is_one_line_or_harmless(
    sweep: Path,
    copied: Path,
    draw: Draw,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(sweep, copied)
    monkeypatch.chdir(copied)
    whole = {tuple(words): call(monkeypatch, capsys, *words) for words in COMMANDS}
    assert [status for status, *_ in whole.values()] == [0] * len(COMMANDS)
    files = sorted(path for path in Path().rglob("*") if path.is_file())
    for name, generator in draw("damage of any file", 600):
        path, damage, words = generator.choice(files), generator.choice(sorted(DAMAGES)), generator.choice(COMMANDS)
        kept = path.read_bytes()
        if not kept:
            continue
        path.write_bytes(DAMAGES[damage](kept, generator))
        status, said, warned = call(monkeypatch, capsys, *words)
        case = (name, path, damage, words, said, warned)
        assert "Traceback" not in said + warned, case
        if said != whole[tuple(words)][1]:  # then what is wrong is named
            assert str(path) in said + warned or path.name in said + warned, case
            assert status in (0, 1, 2), case
        for place in ("runs", "results"):
            shutil.rmtree(place)
            shutil.copytree(sweep / place, place)
        path.write_bytes(kept)
