from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.draw import drawn, rollout_seconds, shortest_useful, training_seconds
from accord.benchmark.report.leaderboard import read_runs

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
    table.to_parquet(file)
    status, said, _ = accord(*words)
    assert status == 1
    assert "2 of 3 published runs reproduce" in said
    assert "cost:" in said
    assert "1 different" in said
    assert accord(*words, "--methods", "oracle")[0] == 0


def test_of_every_published_suite_one_short_row_is_rerun(accord: Accord, tmp_path: Path) -> None:
    words = ["reproduce", "all", "--short", "--methods", "serve_now,vdn", "--root", str(tmp_path)]
    status, said, _ = accord(*words, "--scenarios", "games/penalty_25,average-0.4", "--results", str(RESULTS))
    lines = [line for line in said.splitlines() if line.startswith(("ok", "NO"))]
    assert [line.split()[1] for line in lines] == ["paper", "validation"]
    assert (status, f"{len(lines)} of {len(lines)} published runs reproduce" in said) == (0, True)


def test_a_draw_fits_its_time_and_trains_a_policy_once() -> None:
    records = read_runs(RESULTS / "paper" / "runs.parquet")
    chosen = drawn(records, 600.0, draw=0)
    trained = {record.policy: training_seconds(record) for record in chosen}
    assert sum(map(rollout_seconds, chosen)) + sum(trained.values()) <= 600
    assert any(record.policy for record in chosen)
    assert chosen == drawn(records, 600.0, draw=0) != drawn(records, 600.0, draw=1)
    assert len(drawn(records, 1.0, draw=0)) == 1


def test_the_short_row_of_a_suite_does_work() -> None:
    record = shortest_useful(read_runs(RESULTS / "validation" / "runs.parquet"))
    assert record.policy
    assert 0 < training_seconds(record) + rollout_seconds(record) <= 20


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
