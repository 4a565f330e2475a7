"""Reports on a terminal, own suites by name, settings and files of one's own, and what a run would do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.command_line import call
from rich.cells import cell_len

from accord.baselines.registry import METHODS
from accord.benchmark.records.lease import Leases
from accord.benchmark.records.store import Store
from accord.envs import catalogue

Accord = Callable[..., tuple[int, str, str]]
OWN = """
from accord.baselines.control.fixed import ServeNow
from accord.baselines.registry import register
from accord.envs.catalogue import register_family
from accord.envs.toy.games import GAMES


@register("mine", "nothing")
class Mine(ServeNow):
    '''One of one's own.'''


register_family("chess", GAMES)
"""


def test_a_wide_leaderboard_on_a_terminal_says_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], done: Path
) -> None:
    monkeypatch.chdir(done)
    status, said, _ = call(monkeypatch, capsys, "report", "tiny", "--published", terminal=80)
    assert status == 0
    assert max(map(cell_len, said.splitlines())) <= 80
    text = " ".join(said.split())
    assert "consensus-gossip" in text
    assert "Left out, since this terminal has 80 columns: " in text
    assert text.endswith("Choose with --columns, or see all with --format md.")
    _, wide, _ = call(monkeypatch, capsys, "report", "tiny", "--published", terminal=400)
    assert "Left out" not in wide
    _, said, _ = call(monkeypatch, capsys, "report", "tiny", "--published", "--columns", "violation", terminal=80)
    assert "Left out" not in said
    _, said, _ = call(monkeypatch, capsys, "report", "tiny", "--published", "--summary", terminal=80)
    assert max(map(cell_len, said.splitlines())) <= 80
    assert "serve_now" in said


def test_an_own_suite_is_known_by_its_name_once_it_was_run(accord: Accord, tmp_path: Path) -> None:
    assert accord("report", "tiny")[0] == 0
    assert "| tiny " in accord("suites")[1]
    status, _, told = accord("report", "tiny", "--root", str(tmp_path))
    assert status == 2
    assert "unknown suite 'tiny'" in told
    assert accord("report", "tiny", "--summary", "--methods", "oracle", "--label", "oracle=LP")[1].count("`LP`") == 1


def test_a_changed_setting_is_a_variant_of_its_own(accord: Accord, tmp_path: Path) -> None:
    root = ["--root", str(tmp_path), "--wandb", "disabled", "--methods", "consensus-gossip"]
    status, said, _ = accord("run", "tiny.yaml", "--set", "dual.alpha=0.01", "--set", "ppo.epochs=1", *root)
    assert status == 0
    assert "dual.alpha=0.01 ppo.epochs=1" in said
    (record,) = Store(tmp_path).records("tiny")
    assert record.spec.variant == "dual.alpha=0.01 ppo.epochs=1"
    status, _, told = accord("run", "tiny.yaml", "--set", "ppo.lrr=1", *root)
    assert status == 2
    assert "error: --set: method 'consensus-gossip': unknown key 'ppo.lrr'; see: accord settings" in told


def test_a_dry_run_does_nothing_and_says_how_long(accord: Accord, tmp_path: Path) -> None:
    status, said, _ = accord("run", "tiny.yaml", "--dry-run", "--root", str(tmp_path / "runs"))
    assert status == 0
    assert "0 of 3 runs are stored; 1 optimum is solved first" in said
    assert not (tmp_path / "runs").exists()
    assert "3 of 3 runs are stored: nothing is left to do." in accord("run", "tiny.yaml", "--dry-run")[1]
    words = ["run", "tiny.yaml", "--dry-run", "--set", "ppo.epochs=1", "--steps", "10000", "--root", "runs"]
    said = accord(*words)[1]
    assert "| consensus-gossip | 1 " in said
    assert "2 of 3 runs are stored" in said
    assert "records of" in said or "record of" in said


@pytest.fixture
def forgets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a file registers in this process is gone after the test."""
    before = dict(METHODS)
    monkeypatch.setattr(catalogue, "_REGISTERED", {})
    yield
    METHODS.clear()
    METHODS.update(before)
    monkeypatch.undo()
    catalogue.families.cache_clear()
    catalogue._resolved.cache_clear()


@pytest.mark.usefixtures("forgets")
def test_a_file_of_ones_own_is_imported_here_and_in_the_processes(accord: Accord, tmp_path: Path) -> None:
    path, suite = tmp_path / "own_method_of_mine.py", tmp_path / "own.yaml"
    path.write_text(OWN)
    suite.write_text(
        "description: Mine.\nseeds: 1\neffort: {steps: 10}\n"
        "entries: [{scenarios: [chess/two_step], methods: [mine, random]}]\n"
    )
    words = [str(suite), "--root", str(tmp_path / "runs"), "--wandb", "disabled"]
    status, said, told = accord("run", *words, "--import", str(path))
    assert status == 0, told
    assert "2 of 2 runs done" in told
    assert "## chess/two_step" in said
    assert "| mine " in accord("methods", "--import", str(path))[1]


@pytest.mark.parametrize(
    "words", [["--columns", "nope"], ["--methods", "nope"], ["--label", "nope=x"], ["--format", "pdf"], ["--narrow"]]
)
def test_a_mistake_is_told_before_methods_are_audited(
    accord: Accord, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    def audited(records: object) -> None:
        pytest.fail("the audit takes a minute for a large suite")

    monkeypatch.setattr("accord.benchmark.report.publish.audit_records", audited)
    status, printed, told = accord("report", "tiny", "--published", *words)
    assert (status, printed, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"error: {words[0]}: ")


def test_a_suite_is_published_by_one_process_at_a_time(accord: Accord, tmp_path: Path) -> None:
    with Leases(tmp_path / "leases").hold("publication-tiny"):
        status, _, said = accord("publish", "tiny.yaml", "--results", str(tmp_path))
    assert (status, [path.name for path in tmp_path.iterdir()]) == (2, ["leases"])
    assert "is at work on publication-tiny; wait until it is done" in said
