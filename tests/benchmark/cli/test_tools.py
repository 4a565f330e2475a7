"""Commands beside the suites of runs."""

from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import call
from helpers.records import record

from accord.benchmark.performance import cells as measuring
from accord.benchmark.records.published import write_published
from accord.benchmark.records.store import Store


def test_scale_measures_once_and_leaves_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "LEAST_SHARE", 0.0)  # other tests may run beside this one
    words = ["scale", "rule_based", "--agents", "6", "--wandb", "disabled", "--root", str(tmp_path)]
    status, said, told = call(monkeypatch, capsys, *words)
    assert status == 0
    assert "| rule_based | – |" in said
    assert "rule_based, 6 agents: done" in told
    cells = pd.read_csv(tmp_path / "reports" / "scale" / "cells.csv")
    assert call(monkeypatch, capsys, *words)[0] == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "reports" / "scale" / "cells.csv"), cells)
    words = ["scale", "--published", "--results", str(tmp_path / "reports")]
    assert call(monkeypatch, capsys, *words)[:2] == (0, said)


def test_a_store_is_checked_cleaned_and_taken_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def store(*words: str) -> tuple[int, str, str]:
        return call(monkeypatch, capsys, "store", *words)

    here, there, archive = tmp_path / "here", tmp_path / "there", tmp_path / "runs.tar"
    made = record()
    Store(here).save(made, {})
    words = ["check", "--root", str(here), "--results", str(tmp_path)]
    assert store(*words) == (0, f"nothing is damaged under {here}/ and {tmp_path}/\n", "")
    kept, _ = write_published(tmp_path / "tiny", {"runs.parquet": b"one"})
    kept.write_bytes(b"two")
    status, said, _ = store(*words)
    assert (status, said.split(": ")[0]) == (1, str(kept))
    assert store("export", str(archive), "--root", str(here))[:2] == (0, f"1 runs in {archive}\n")
    assert store("import", str(archive), "--root", str(there))[:2] == (
        0,
        f"1 files added under {there}/, 0 were there\n",
    )
    path = Store(there).folder(made.spec) / "record.json"
    path.write_text(path.read_text().replace("done", "dine"))
    status, said, _ = store("check", "--root", str(there))
    assert (status, said.splitlines()[0]) == (1, f"{path}: is not what its digest says")
    assert Store(there).load(made.spec) is None
    assert store("gc", "--root", str(there))[:2] == (0, f"1 removed under {there}/\n")
    status, _, told = store("import", str(path.parent), "--root", str(there))
    assert status == 2
    assert len(told.splitlines()) == 1
