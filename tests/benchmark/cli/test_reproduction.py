from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pandas as pd
import pytest

from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.records.published import write_published
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.draw import drawn, rollout_seconds, shortest_of_each_method, training_seconds
from accord.envs.third_party import citylearn

Accord = Callable[..., tuple[int, str, str]]
RESULTS = Path(__file__).parents[3] / "results"


def test_what_was_published_reproduces_and_a_changed_figure_does_not(accord: Accord, tmp_path: Path) -> None:
    accord("publish", "tiny.yaml", "--results", str(tmp_path / "results"))
    words = ["reproduce", "tiny.yaml", "--root", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    status, said, _ = accord(*words)
    assert status == 0, said
    assert "3 of 3 published runs reproduce" in said
    file = tmp_path / "results" / "tiny" / "runs.parquet"
    table = pd.read_parquet(file)
    table.loc[table["method"] == "serve_now", "cost"] *= 2
    write_published(file.parent, {file.name: table.to_parquet()})
    status, said, _ = accord(*words)
    assert status == 1
    assert "2 of 3 published runs reproduce" in said
    assert "cost:" in said
    assert "1 different" in said
    assert accord(*words, "--methods", "oracle")[0] == 0


def test_one_odd_row_costs_a_line_and_nothing_else(accord: Accord, tmp_path: Path) -> None:
    accord("publish", "tiny.yaml", "--results", str(tmp_path / "results"))
    file = tmp_path / "results" / "tiny" / "runs.parquet"
    table = pd.read_parquet(file)
    table.loc[table["method"] == "serve_now", "spec"] = table["spec"].str.replace("serve_now", "serve_then")
    table.loc[table["method"] == "consensus-gossip", "status"] = "out of time"
    write_published(file.parent, {file.name: table.to_parquet()})
    status, said, _ = accord("reproduce", "all", "--root", str(tmp_path), "--results", str(tmp_path / "results"))
    assert status == 1
    assert "cannot be made here" in said
    assert "1 of 2 published runs reproduce" in said
    assert "those that ended at a limit of time or memory, which depends on the machine, were left out" in said


def test_rows_whose_package_is_not_installed_are_left_out_in_a_line(
    accord: Accord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(citylearn, "version", missing)
    accord("publish", "tiny.yaml", "--results", str(tmp_path / "results"))
    file = tmp_path / "results" / "tiny" / "runs.parquet"
    table = pd.read_parquet(file)
    elsewhere = table["method"] != "serve_now"
    table.loc[elsewhere, "spec"] = table["spec"].str.replace('"synthetic_7-week/', '"citylearn/synthetic_7-week/')
    write_published(file.parent, {file.name: table.to_parquet()})
    words = ["reproduce", "tiny.yaml", "--root", str(tmp_path), "--results", str(tmp_path / "results")]
    status, said, _ = accord(*words)
    assert (status, said.splitlines()[-1]) == (0, "1 of 1 published runs reproduce")
    absent = "scenario 'citylearn/synthetic_7-week/ring/average-0.4' needs the package citylearn: pip install "
    assert said.splitlines()[0] == f"--  tiny: 2 rows are left out: {absent}accord-bench[citylearn]"
    assert f"--  tiny: 2 rows are left out: {absent}" in accord(*words, "--short")[1]
    status, _, said = accord(*words, "--methods", "oracle")
    assert (status, "no row that is left after the filters can be rerun here" in said) == (2, True)


def test_a_draw_fits_its_time_and_trains_a_policy_once() -> None:
    records = read_runs(RESULTS / "paper" / "runs.parquet")
    chosen = drawn(records, 600.0, draw=0)
    trained = {record.policy: training_seconds(record) for record in chosen}
    assert sum(map(rollout_seconds, chosen)) + sum(trained.values()) <= 600
    assert any(record.policy for record in chosen)
    assert chosen == drawn(records, 600.0, draw=0) != drawn(records, 600.0, draw=1)
    assert len(drawn(records, 1.0, draw=0)) == 1


def test_short_rows_are_one_of_every_method_that_takes_seconds() -> None:
    records = read_runs(RESULTS / "validation" / "runs.parquet")
    chosen = shortest_of_each_method(records)
    assert {record.spec.method for record in chosen} == {record.spec.method for record in records}
    assert len(chosen) == len({record.spec.method for record in chosen})
    assert all(training_seconds(record) + rollout_seconds(record) <= 20 for record in chosen)
    learned = [record for record in read_runs(RESULTS / "core" / "runs.parquet") if record.policy]
    assert len(shortest_of_each_method(learned)) == 1  # none takes seconds, and every suite has one


def test_numbers_of_other_code_are_marked_and_not_published(
    accord: Accord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    (tmp_path / "own.yaml").write_text("""
        description: One rule.
        smoke: true
        seeds: 1
        effort: {steps: 1000}
        entries: [{district: synthetic_7-week, networks: [ring], budgets: [average-0.4], methods: [serve_now]}]
    """)
    own, root = str(tmp_path / "own.yaml"), ["--root", str(tmp_path), "--results", str(tmp_path / "results")]
    assert accord("run", own, "--root", str(tmp_path), "--wandb", "disabled")[0] == 0
    (record,) = store.records("own")
    assert "STALE" not in accord("report", own, *root)[1]
    assert record.identity is not None
    store.save(record.model_copy(update={"identity": record.identity.model_copy(update={"code": "another"})}), {})
    assert "STALE: 1 of 1 runs is of other code, data or network than is here" in accord("report", own, *root)[1]
    status, _, said = accord("publish", own, *root)
    assert (status, "1 of its 1 runs are of other code, data or network than is here" in said) == (2, True)
    store.save(_uncommitted(record), {})
    monkeypatch.undo()
    status, _, said = accord("publish", own, *root)
    assert (status, "1 of its 1 runs are of code that no revision holds" in said) == (2, True)
    assert not (tmp_path / "results").exists()


def _uncommitted(record: Record) -> Record:
    where = record.provenance.model_copy(update={"git_revision": "0123abc+changes"})
    return record.model_copy(update={"provenance": where})
