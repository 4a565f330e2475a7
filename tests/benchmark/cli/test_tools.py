"""Commands beside the suites of runs."""

from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import call

from accord.benchmark.performance import cells as measuring


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
