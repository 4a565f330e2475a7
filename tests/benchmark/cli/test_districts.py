"""The command that writes a district to fill in."""

from pathlib import Path

import pytest
from helpers.command_line import call

from accord.benchmark.launch.runner import run
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import load_suite


def test_what_is_written_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "our street"
    status, said, told = call(monkeypatch, capsys, "new-district", str(folder))
    *files, command = said.splitlines()
    assert (status, told) == (0, "")
    assert sorted(files) == sorted(str(file) for file in folder.iterdir())
    assert command == f"accord run '{folder}/suite.yaml'"
    specs = runs_of(load_suite(f"{folder}/suite.yaml"))
    assert [spec.method for spec in specs] == ["oracle", "serve_now", "rule_based"]
    assert specs[0].scenario == f"folder:{folder}/complete/average-0.5"
    record = run(specs[0].scenario, "serve_now", root=tmp_path / "runs")
    assert (record.status, record.error) == ("done", "")
    assert record.metrics["verdict"] == "feasible"
    assert record.metrics["served"] == 1.0
    status, _, told = call(monkeypatch, capsys, "new-district", str(folder))
    assert status == 2
    assert "holds files already; allowed: a new or an empty folder" in told
