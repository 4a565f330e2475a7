import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.benchmark.boards.leaderboard import read_runs, write_runs
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.runner import run
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.reproduce import CHANCE, HARDWARE, compare, predicted

ADDRESS = "synthetic_7-week/two_groups/average-0.4"
SMALL = {"copies": 4, "agents": 4, "ppo": {"hidden": [16], "minibatch": 192}}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Record:
    folder = tmp_path_factory.mktemp("published")
    record = run(ADDRESS, "random", root=folder)
    write_runs([record], folder / "runs.parquet")
    return read_runs(folder / "runs.parquet")[0]


def changed(record: Record, cpu: str | None = None, **metrics: Any) -> Record:
    where = record.provenance if cpu is None else record.provenance.model_copy(update={"cpu": cpu})
    return record.model_copy(update={"metrics": record.metrics | metrics, "provenance": where})


def test_a_rerun_of_what_was_written_and_read_is_identical(published: Record, tmp_path: Path) -> None:
    again = run(published.spec.scenario, published.spec.method, root=tmp_path)
    found = compare(published, again, [published])
    assert found.held
    compared = [name for name in published.metrics if name not in METRICS or not METRICS[name].clocked]
    assert found.how == f"{len(compared) + 1} identical"
    assert {"cost", "violation", "verdict"} <= set(compared)
    assert "act_microseconds" not in compared


@pytest.mark.parametrize(("error", "held"), [(1e-15, True), (1e-11, False), (1e-4, False)])
def test_rounding_alone_is_forgiven_on_the_same_kind_of_machine(published: Record, error: float, held: bool) -> None:
    cost = float(published.metrics["cost"] or 0)
    found = compare(published, changed(published, cost=cost * (1 + error)), [published])
    assert found.held == held
    assert [item.name for item in found.differences] == ([] if held else ["cost"])


def test_elsewhere_verdict_and_objective_decide_and_nothing_else(published: Record) -> None:
    seeds = [changed(published, objective=value) for value in (10.0, 10.2, 10.1, 9.9, 9.8)]
    low, high = predicted([10.0, 10.2, 10.1, 9.9, 9.8]) or (0.0, 0.0)
    for objective, held in ((low + 1e-6, True), (high - 1e-6, True), (low - 1e-6, False), (high + 1e-6, False)):
        again = changed(published, cpu="another", objective=objective, cost=1e9, delay=1e9)
        assert compare(seeds[0], again, seeds).held == held
    assert "another kind of machine" in compare(seeds[0], again, seeds).how
    other_word = changed(published, cpu="another", objective=10.0, verdict="violates")
    assert not compare(seeds[0], other_word, seeds).held
    mixed = [*seeds[:4], changed(seeds[4], verdict="violates")]
    assert compare(seeds[0], other_word, mixed).held  # the published seeds end either way
    assert not compare(seeds[0], changed(published, cpu="another", objective=None), seeds).held


def test_the_interval_predicts_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(7.0, 0.5, (2000, 6))
    spans = [predicted(row[:5].tolist()) or (0.0, 0.0) for row in draws]
    misses = np.mean([not low <= row[5] <= high for row, (low, high) in zip(draws, spans, strict=True)])
    assert misses == pytest.approx(CHANCE, abs=0.007)


def test_what_no_seed_moves_may_differ_by_the_tolerance_alone() -> None:
    assert predicted([50.0]) == pytest.approx((50 * (1 - HARDWARE), 50 * (1 + HARDWARE)))
    assert predicted([50.0, 50.0]) == pytest.approx((50 * (1 - HARDWARE), 50 * (1 + HARDWARE)))
    assert predicted([None, float("nan")]) is None


def test_a_run_that_ended_otherwise_does_not_reproduce(published: Record) -> None:
    failed = published.model_copy(update={"status": "failed"})
    for again in (failed, changed(failed, cpu="another")):
        found = compare(published, again, [published])
        assert not found.held
        assert found.differences[0].name == "status"


def test_a_run_that_failed_fails_again_for_the_same_reason(published: Record) -> None:
    failed = published.model_copy(update={"status": "failed", "error": "no sun", "metrics": {}})
    assert compare(failed, failed, [failed]).held
    assert not compare(failed, failed.model_copy(update={"error": "no wind"}), [failed]).held


def test_a_metric_that_nobody_here_measures_is_named_and_left_out(published: Record) -> None:
    found = compare(changed(published, use_peak=1.0), published, [published])
    assert found.held
    assert "nobody here measures use_peak" in found.how


def test_one_seed_of_a_method_with_randomness_predicts_nothing(published: Record) -> None:
    cost = 1.5 * float(published.metrics["objective"] or 0)
    found = compare(published, changed(published, cpu="another", objective=cost), [published])
    assert found.held
    assert "too few to predict" in found.how


def test_a_figure_that_tables_cannot_hold_is_a_blank(published: Record) -> None:
    assert compare(changed(published, delay=None), changed(published, delay=float("nan")), [published]).held


TRAIN = """
import sys
from accord.benchmark.launch.runner import run
run({address!r}, "consensus-gossip", int(sys.argv[1]), settings={small!r}, steps=2000, root=sys.argv[2])
"""


def test_training_on_another_processor_reproduces_in_both_directions(tmp_path: Path) -> None:
    # Plain instructions instead of vector ones give other sums, as another processor does.
    script = TRAIN.format(address=ADDRESS, small=SMALL)
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    command = [sys.executable, "-c", script, "0", str(tmp_path / "plain")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (again,) = Store(tmp_path / "plain").records()
    seeds = [
        run(ADDRESS, "consensus-gossip", seed, settings=SMALL, steps=2000, root=tmp_path / "here") for seed in range(4)
    ]
    assert not again.provenance.same_class(seeds[0].provenance)
    assert again.metrics["objective"] != seeds[0].metrics["objective"]
    assert compare(seeds[0], again, seeds).held
    worse = 3 * float(again.metrics["objective"] or 0)
    assert not compare(seeds[0], changed(again, objective=worse), seeds).held
