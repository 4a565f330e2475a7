from pathlib import Path

import pandas as pd
import pytest
from helpers.records import FEASIBLE, POSTPONES, record, seeds

from accord.benchmark.boards.leaderboard import (
    NUMBERS,
    TABLE_COLUMNS,
    WORST,
    leaderboard,
    read_runs,
    runs_table,
    verdict_over_seeds,
    what_it_needs,
    what_it_sees,
    worst,
    write_runs,
)
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.identity import Identity
from accord.benchmark.records.record import Record


def five_seeds() -> list[Record]:
    return [*seeds([4.0, 3.5, 3.6, 3.7]), record(seed=4, **POSTPONES, objective=9.0)]


@pytest.mark.parametrize(
    ("method", "settings", "locality", "needs"),
    [
        ("oracle", {}, "", "model, foresight, centre"),
        ("lookahead", {}, "central", "model, foresight, centre"),
        ("mpc", {}, "central", "model, centre"),
        ("mpc", {"forecast": "perfect"}, "central", "model, foresight, centre"),
        ("distributed_mpc", {}, "neighbours, 1 hop/step", "model, messages"),
        ("price_taker", {}, "neighbours, 1 hop/step", "messages"),
        ("mappo-augmented", {}, "central", "centre"),
        ("consensus-independent", {}, "own numbers", ""),
    ],
)
def test_who_needs_a_model_foresight_a_centre_or_messages(
    method: str, settings: dict[str, str], locality: str, needs: str
) -> None:
    spec = record(method=method).spec.model_copy(update={"config": settings})
    assert what_it_needs(spec, locality) == needs


def test_columns_are_those_that_were_promised() -> None:
    table = leaderboard(five_seeds())
    assert list(table.columns) == list(TABLE_COLUMNS)
    assert list(table.columns[:12]) == [
        *("suite", "scenario", "method", "variant", "n_agents", "seeds"),
        *("feasible_rate", "feasible_rate_low", "feasible_rate_high", "verdict", "oracle", "oracle_objective"),
    ]
    assert {"objective", "delay_low", "messages", "act_microseconds_high", "peak_memory"} <= set(table.columns)
    assert not {"feasible", "verdict"} & set(NUMBERS)
    worst_of = [f"{name}_worst" for name in WORST]
    assert list(table.columns[-7:]) == ["locality", "setup", "trainings", "steps", *worst_of]


def test_five_seeds_give_medians_with_their_range() -> None:
    row = leaderboard(five_seeds()).iloc[0]
    assert (row["objective_low"], row["objective"], row["objective_high"]) == (3.5, 3.7, 9.0)
    assert row["feasible_rate"] == pytest.approx(0.8)
    # Clopper and Pearson's interval of 4/5.
    assert (row["feasible_rate_low"], row["feasible_rate_high"]) == pytest.approx((0.2836, 0.9949), abs=5e-5)
    assert row["verdict"] == "feasible 4/5, postpones 1/5"
    assert (row["seeds"], row["n_agents"], row["oracle"], row["oracle_objective"]) == (5, 7, "feasible", 3.2)
    assert pd.isna(row["carbon"])


def test_three_seeds_give_no_interval_but_of_the_rate() -> None:
    row = leaderboard(five_seeds()[:3]).iloc[0]
    assert row["objective"] == 3.6
    assert row[["objective_low", "objective_high"]].isna().all()
    assert (row["feasible_rate_low"], row["feasible_rate_high"]) == pytest.approx((0.2924, 1.0), abs=5e-5)
    assert leaderboard(five_seeds()[:2]).iloc[0][["feasible_rate_low", "feasible_rate_high"]].isna().all()


def test_runs_of_unlike_effort_or_settings_never_share_a_row() -> None:
    runs = [record(seed=seed, steps=20_000, objective=3.0, **FEASIBLE) for seed in range(3)]
    runs += [record(seed=seed, steps=40_000, objective=2.0, **FEASIBLE) for seed in range(3, 5)]
    runs.append(record(seed=5, steps=40_000, settings={"by_size": True}, objective=1.0, **FEASIBLE))
    rows = leaderboard(runs).set_index("setup")
    assert rows["objective"].to_dict() == {
        "by_size=False, 20,000 steps": 3.0,
        "by_size=False, 40,000 steps": 2.0,
        "by_size=True, 40,000 steps": 1.0,
    }
    assert rows["seeds"].to_list() == [1, 2, 3]
    assert rows["steps"].to_list() == [40_000, 40_000, 20_000]
    assert leaderboard(runs).equals(leaderboard(runs[::-1]))


def test_trainings_are_counted_and_steps_are_those_of_each() -> None:
    runs = [record(seed=seed, steps=20_000, **FEASIBLE) for seed in range(3)]
    runs = [run.model_copy(update={"policy": policy}) for run, policy in zip(runs, "ppq", strict=True)]
    table = leaderboard([*runs, record("rule_based", **FEASIBLE)]).set_index("method")
    assert table["trainings"].to_dict() == {"consensus-gossip": 2, "rule_based": 0}
    assert table.loc["consensus-gossip", "steps"] == 20_000
    assert pd.isna(table.loc["rule_based", "steps"])


def test_the_worst_seed_is_the_highest_gap_and_the_lowest_return() -> None:
    runs = [
        record(seed=seed, optimality_gap=gap, violation=0.0, episode_return=value)
        for seed, gap, value in ((0, 0.1, 5.0), (1, 0.3, 2.0), (2, 0.2, 2.0))
    ]
    row = leaderboard([*runs, record(seed=3)]).iloc[0]
    assert (row["optimality_gap_worst"], row["violation_worst"], row["episode_return_worst"]) == (0.3, 0.0, 2.0)
    assert worst("optimality_gap", runs) == (0.3, [1])
    assert worst("episode_return", runs) == (2.0, [1, 2])
    assert worst("delay", runs) is None
    assert pd.isna(leaderboard([record()]).iloc[0]["violation_worst"])


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
    identity = Identity(data="d", network="n", code="c")
    known = record("rule_based", **FEASIBLE).model_copy(update={"identity": identity})
    records = [*five_seeds(), known, record("serve_now", status="failed", n_agents=7)]
    write_runs(records, tmp_path / "runs.parquet")
    back = read_runs(tmp_path / "runs.parquet")
    for before, after in zip(records, back, strict=True):
        assert (after.spec, after.status, after.error) == (before.spec, before.status, before.error)
        assert (after.provenance, after.identity) == (before.provenance, before.identity)
        assert {k: v for k, v in after.metrics.items() if v is not None} == before.metrics
    assert leaderboard(back).equals(leaderboard(records))
    write_runs(back, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "runs.parquet").read_bytes()
