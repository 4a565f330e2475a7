from pathlib import Path

import pandas as pd
import pytest

from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.record import Record, Status
from accord.benchmark.report.leaderboard import (
    NUMBERS,
    TABLE_COLUMNS,
    improvements,
    leaderboard,
    read_runs,
    runs_table,
    verdict_over_seeds,
    what_it_sees,
    write_runs,
)
from accord.benchmark.specs.run import make_run
from accord.benchmark.statistics import wilson_interval

SCENARIO = "paper_seven/ring/average-0.27"
FEASIBLE: dict[str, Value] = {
    "feasible": True,
    "verdict": "feasible",
    "oracle": "feasible",
    "oracle_objective": 3.2,
    "n_agents": 7,
}
POSTPONES = FEASIBLE | {"feasible": False, "verdict": "postpones"}


def record(method: str = "consensus-gossip", seed: int = 0, status: Status = "done", **metrics: Value) -> Record:
    return Record(
        spec=make_run(SCENARIO, method, seed, suite="hand"),
        status=status,
        error="" if status == "done" else "ValueError: no",
        metrics=metrics,
        provenance=provenance_here(),
    )


def five_seeds() -> list[Record]:
    objectives = [4.0, 3.5, 3.6, 3.7, 9.0]
    runs = [record(seed=n, **FEASIBLE, objective=value) for n, value in enumerate(objectives[:4])]
    return [*runs, record(seed=4, **POSTPONES, objective=objectives[4])]


def test_columns_are_those_that_were_promised() -> None:
    table = leaderboard(five_seeds())
    assert list(table.columns) == list(TABLE_COLUMNS)
    assert list(table.columns[:12]) == [
        *("suite", "scenario", "method", "variant", "n_agents", "seeds"),
        *("feasible_rate", "feasible_rate_low", "feasible_rate_high", "verdict", "oracle", "oracle_objective"),
    ]
    assert {"objective", "delay_low", "messages", "act_microseconds_high", "peak_memory"} <= set(table.columns)
    assert not {"feasible", "verdict"} & set(NUMBERS)


def test_five_seeds_give_estimates_with_intervals() -> None:
    row = leaderboard(five_seeds()).iloc[0]
    assert row["objective"] == pytest.approx((3.6 + 3.7 + 4.0) / 3)
    assert 3.5 <= row["objective_low"] < row["objective"] < row["objective_high"] <= 9.0
    assert row["feasible_rate"] == pytest.approx(0.8)
    assert (row["feasible_rate_low"], row["feasible_rate_high"]) == pytest.approx(wilson_interval(4, 5))
    assert row["verdict"] == "feasible 4/5, postpones 1/5"
    assert (row["seeds"], row["n_agents"], row["oracle"], row["oracle_objective"]) == (5, 7, "feasible", 3.2)
    assert pd.isna(row["carbon"])


def test_three_seeds_give_no_interval() -> None:
    row = leaderboard(five_seeds()[:3]).iloc[0]
    assert row["objective"] == pytest.approx(3.7)
    assert row[["objective_low", "objective_high", "feasible_rate_low", "feasible_rate_high"]].isna().all()


def test_verdict_of_one_run_is_a_word() -> None:
    assert verdict_over_seeds([record(**FEASIBLE)]) == "feasible"
    assert verdict_over_seeds([record(status="failed", n_agents=7)]) == "failed"


def test_failed_runs_and_runs_out_of_time_are_rows() -> None:
    records = [
        *[record(seed=n, **FEASIBLE, objective=3.5) for n in range(3)],
        record(seed=3, status="out of time", **FEASIBLE, objective=3.9),
        record(seed=4, status="failed", n_agents=7),
        record("serve_now", status="failed", n_agents=7),
    ]
    table = leaderboard(records).set_index("method")
    assert table.loc["consensus-gossip", "verdict"] == "feasible 4/5, failed 1/5, out of time 1/5"
    assert table.loc["consensus-gossip", "feasible_rate"] == pytest.approx(0.8)
    assert table.loc["serve_now", "verdict"] == "failed"
    assert table.loc["serve_now", "feasible_rate"] == 0
    assert pd.isna(table.loc["serve_now", "objective"])


def test_without_budgets_there_is_no_feasible_rate() -> None:
    row = leaderboard([record(n_agents=7, episode_return=1.0)]).iloc[0]
    assert pd.isna(row["feasible_rate"])
    assert row["verdict"] == ""


def test_reference_comes_first_then_the_feasible_by_objective() -> None:
    records = [
        record("random", **POSTPONES, objective=1.0),
        record("serve_now", **FEASIBLE, objective=5.0),
        record("rule_based", **FEASIBLE, objective=4.0),
        record("oracle", **FEASIBLE, objective=3.2),
    ]
    assert list(leaderboard(records)["method"]) == ["oracle", "rule_based", "serve_now", "random"]
    assert leaderboard(records).equals(leaderboard(records[::-1]))


def test_locality_and_what_a_method_sees() -> None:
    table = leaderboard([*five_seeds(), record("serve_now", **FEASIBLE)], {("consensus-gossip", ""): "own numbers"})
    assert dict(zip(table["method"], table["locality"], strict=True)) == {
        "consensus-gossip": "own numbers",
        "serve_now": "",
    }
    assert what_it_sees("consensus-gossip").endswith("trained alone")
    assert what_it_sees("ippo").endswith("trained alone")
    assert what_it_sees("ippo", {"guidance": 0.1}).endswith("trained together")  # by a central assignment
    assert what_it_sees("lgtc-ippo").endswith("trained together")
    assert "perfect foresight" in what_it_sees("oracle")
    assert what_it_sees("of another package") == ""


def test_runs_table_has_every_metric_and_fixed_types() -> None:
    few, many = runs_table([record("serve_now", status="failed")]), runs_table(five_seeds())
    assert set(METRICS) <= set(few.columns)
    assert few.dtypes.to_dict() == many.dtypes.to_dict()
    assert list(many["seed"]) == [0, 1, 2, 3, 4]
    assert list(runs_table([record(own_metric=1.5)])["own_metric"]) == [1.5]


def test_records_come_back_from_parquet(tmp_path: Path) -> None:
    records = [*five_seeds(), record("serve_now", status="failed", n_agents=7)]
    write_runs(records, tmp_path / "runs.parquet")
    back = read_runs(tmp_path / "runs.parquet")
    for before, after in zip(records, back, strict=True):
        assert (after.spec, after.status, after.error) == (before.spec, before.status, before.error)
        assert after.provenance == before.provenance
        assert {k: v for k, v in after.metrics.items() if v is not None} == before.metrics
    assert leaderboard(back).equals(leaderboard(records))
    write_runs(back, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "runs.parquet").read_bytes()


def test_the_subject_is_compared_with_every_variant_of_others_and_its_variants_with_their_own() -> None:
    runs = []
    for method in ("consensus-gossip", "mappo"):
        run = record(method, **FEASIBLE, objective=1.0)
        runs += [run.model_copy(update={"spec": run.spec.model_copy(update={"variant": v})}) for v in ("", "a", "b")]
    table = improvements(runs, "consensus-gossip")
    pairs = set(zip(table["variant"], table["over_variant"], strict=True))
    assert pairs == {("", ""), ("", "a"), ("", "b"), ("a", ""), ("a", "a"), ("b", ""), ("b", "b")}


def test_improvement_counts_any_feasible_run_above_any_infeasible_one() -> None:
    def runs(method: str, objectives: list[float], feasible: bool) -> list[Record]:
        return [record(method, seed, objective=value, feasible=feasible) for seed, value in enumerate(objectives)]

    subject = runs("consensus-gossip", [3.0, 3.1, 3.2, 3.3], True)
    others = runs("consensus-independent", [1.0, 1.0, 1.0, 1.0], False)
    others += runs("consensus-broadcast", [2.0, 2.0, 4.0, 4.0], True)
    table = improvements([*subject, *others], "consensus-gossip").set_index("over")
    assert table.loc["consensus-independent", "probability"] == 1.0
    assert table.loc["consensus-broadcast", "probability"] == 0.5
    assert (
        table.loc["consensus-broadcast", "probability_low"] < 0.5 < table.loc["consensus-broadcast", "probability_high"]
    )
