from pathlib import Path
from typing import Any

import pytest

from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.runner import run
from accord.benchmark.records.record import Record
from accord.benchmark.report.leaderboard import read_runs, write_runs
from accord.benchmark.report.reproduce import DIFFERENT, IDENTICAL, WITHIN, compare, reproduces


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("published")
    record = run("paper_seven/ring/average-0.27", "random", root=folder)
    write_runs([record], folder / "runs.parquet")
    return read_runs(folder / "runs.parquet")[0]


def changed(record: Record, cpu: str | None = None, **metrics: Any) -> Record:
    where = record.provenance if cpu is None else record.provenance.model_copy(update={"cpu": cpu})
    return record.model_copy(update={"metrics": record.metrics | metrics, "provenance": where})


def verdicts(published: Record, again: Record, seeds: list[Record]) -> tuple[dict[str, str], bool]:
    rows = compare(published, again, seeds)
    return {row.metric: row.verdict for row in rows}, reproduces(published, again, rows)


def test_a_rerun_of_what_was_written_and_read_is_identical(published: Record, tmp_path: Path) -> None:
    again = run(published.spec.scenario, published.spec.method, root=tmp_path)
    found, held = verdicts(published, again, [published])
    assert set(found.values()) == {IDENTICAL}
    assert held
    assert not {name for name, entry in METRICS.items() if entry.clocked} & set(found)
    assert {"status", "cost", "violation", "verdict"} <= set(found)


def test_rounding_alone_is_forgiven_on_the_same_class_of_hardware(published: Record) -> None:
    cost = float(published.metrics["cost"] or 0)
    for error, verdict in ((1e-15, IDENTICAL), (1e-11, WITHIN)):
        found, held = verdicts(published, changed(published, cost=cost * (1 + error)), [published])
        assert found.pop("cost") == verdict
        assert set(found.values()) == {IDENTICAL}
        assert held == (verdict == IDENTICAL)


def test_other_hardware_may_leave_the_range_of_the_seeds_by_the_tolerance(published: Record) -> None:
    seeds = [changed(published, cost=cost) for cost in (10.0, 10.4)]
    for cost, verdict in ((10.2, WITHIN), (10.9, WITHIN), (9.5, WITHIN), (11.0, DIFFERENT), (9.4, DIFFERENT)):
        found, held = verdicts(seeds[0], changed(published, cpu="another", cost=cost), seeds)
        assert found["cost"] == verdict
        assert held == (verdict == WITHIN)


@pytest.mark.parametrize("change", [{"verdict": "violates"}, {"feasible": False}, {"cost": None}], ids=str)
def test_a_word_has_no_tolerance(published: Record, change: dict[str, Any]) -> None:
    found, held = verdicts(published, changed(published, cpu="another", **change), [published])
    assert found[next(iter(change))] == DIFFERENT
    assert not held


def test_a_run_that_ended_otherwise_does_not_reproduce(published: Record) -> None:
    found, held = verdicts(published, published.model_copy(update={"status": "failed"}), [published])
    assert found["status"] == DIFFERENT
    assert not held


def test_a_figure_that_tables_cannot_hold_is_a_blank(published: Record) -> None:
    found, held = verdicts(changed(published, delay=None), changed(published, delay=float("nan")), [published])
    assert found["delay"] == IDENTICAL
    assert held
