"""Results per building of what was run: a suite's method, a district of one's own, a policy of one's own."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import call
from rich.cells import cell_len

from accord.benchmark.records.store import Store

Accord = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]
SEVERAL = """
description: One method with two seeds.
seeds: 2
effort: {steps: 10}
entries: [{scenarios: [synthetic_7-week/ring/average-0.4], methods: [random]}]
"""
BOUNDS = """
description: The optimum of two districts.
seeds: 1
effort: {steps: 10}
entries:
- {scenarios: [synthetic_7-week/ring/average-0.4, synthetic_7-week/ring/average-0.5], methods: [oracle]}
"""


def test_the_run_of_a_suite_that_acts_is_shown_against_todays_rule(accord: Accord, done: Path) -> None:
    status, said, told = accord("buildings", "tiny")
    assert (status, told) == (0, "")
    assert "synthetic_7-week/ring/average-0.4 consensus-gossip seed 0" in said
    assert "| bill ($) | bill change (%) | delay (h) |" in said
    assert len([line for line in said.splitlines() if line.startswith("| building ")]) == 1 + 7
    (record,) = [r for r in Store(done / "runs").records("tiny") if r.spec.method == "consensus-gossip"]
    assert accord("buildings", record.spec.digest[:8]) == (0, said, "")
    _, csv, _ = accord("buildings", "tiny", "--format", "csv")
    table = pd.read_csv(io.StringIO(csv)).set_index("building")
    assert len(table) == 8
    assert table.loc["district", "delay_h"] == pytest.approx(record.metrics["delay"])


def test_todays_rule_itself_changes_nothing(accord: Accord) -> None:
    _, csv, _ = accord("buildings", "tiny", "--methods", "serve_now", "--format", "csv")
    table = pd.read_csv(io.StringIO(csv))
    changes = [name for name in table.columns if "_change_" in name]
    assert len(changes) == 4
    assert (table[changes].fillna(0) == 0).all(axis=None)


def test_a_table_fits_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], done: Path
) -> None:
    monkeypatch.chdir(done)
    status, said, _ = call(monkeypatch, capsys, "buildings", "tiny", terminal=80)
    assert status == 0
    assert max(map(cell_len, said.splitlines())) <= 80
    assert "building 7 " in said
    assert " district " in f" {said}".replace("\n", " ")


def test_a_figure_is_written_where_it_was_asked_for(accord: Accord, tmp_path: Path) -> None:
    status, _, told = accord("buildings", "tiny", "--figure", str(tmp_path / "street.png"))
    assert status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["street.pdf", "street.png"]
    assert told == f"{tmp_path}/street.png and {tmp_path}/street.pdf\n"


def test_a_district_and_a_policy_of_ones_own_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def accord(*words: str) -> str:
        status, said, told = call(monkeypatch, capsys, *words)
        assert status == 0, told
        return said

    accord("new-district", "street")
    here = ["--wandb", "disabled"]
    accord("run", "street/suite.yaml", "--methods", "serve_now,rule_based", *here)
    said = accord("buildings", "street/suite.yaml")
    assert "rule_based seed 0. 384 measured hours." in said
    assert "| home_1   | " in said
    address = f"folder:{tmp_path}/street/complete/average-0.5"
    policy = f"{ROOT}/tests/helpers/half_policy.py:policy"
    accord("evaluate", policy, "--scenario", address, "--name", "half", *here)
    assert f"{address} outside [half] seed 0." in accord("buildings", "evaluated")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "unknown suite 'nothing'; allowed: "),
        (["tiny", "--format", "latex"], "--format: unknown format 'latex'; allowed: md, csv"),
        (["tiny", "--methods", "oracle"], "'oracle' is a bound and does not act"),
        (["tiny", "--seed-list", "7"], "RUN: none of the 3 runs of 'tiny' is left after --methods, --scenarios"),
        (["hourly"], "RUN: no finished run of 'hourly'; first: accord run hourly"),
        ([""], "an argument: is empty; leave it out"),
        (["tiny", "--figure", "street.svg"], "--figure: street.svg: unknown format '.svg'; allowed: .png, .pdf"),
    ],
)
def test_a_mistake_is_one_line(accord: Accord, words: list[str], said: str) -> None:
    status, printed, told = accord("buildings", *words)
    assert status == 2
    assert said in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert not printed


def test_of_several_runs_one_must_be_named(accord: Accord) -> None:
    Path("several.yaml").write_text(SEVERAL)
    assert accord("run", "several.yaml", "--wandb", "disabled")[0] == 0
    status, _, told = accord("buildings", "several")
    assert status == 2
    assert "RUN: 'several' stands for 2 runs: " in told
    assert "name one by its digest, or by --methods" in told
    assert accord("buildings", "several", "--seed-list", "1")[0] == 0


def test_several_runs_of_bounds_are_refused_in_one_line(accord: Accord) -> None:
    Path("bounds.yaml").write_text(BOUNDS)
    assert accord("run", "bounds.yaml", "--wandb", "disabled")[0] == 0
    status, printed, told = accord("buildings", "bounds")
    assert (status, printed) == (2, "")
    assert told == "error: RUN: 'bounds' stands for 2 runs of bounds, which do not act\n"
