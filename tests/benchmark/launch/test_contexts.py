from pathlib import Path
from typing import Any

import pytest

from accord.baselines.base import Reference
from accord.baselines.registry import REFERENCES
from accord.benchmark.launch.contexts import prepare_context
from accord.benchmark.launch.runner import run
from accord.benchmark.records.store import Store
from accord.envs.catalogue import resolve, resolve_district
from accord.envs.optimum import linear_program
from accord.envs.scenario import Bound, Infeasible

ADDRESS = "paper_seven/two_groups/average-0.27"


def test_a_bound_has_no_place_where_there_are_no_budgets(tmp_path: Path) -> None:
    record = run("games/two_step", "oracle", root=tmp_path)
    assert record.status == "failed"
    assert "'games/two_step' has no budgets" in record.error


def test_an_oracle_that_knows_no_optimum_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_program, "LARGEST_APART", 10)
    record = run(ADDRESS, "oracle", root=tmp_path)
    assert (record.status, record.metrics.get("oracle")) == ("failed", None)
    assert "building-hours" in record.error
    assert run(ADDRESS, "serve_now", root=tmp_path).status == "done"


def test_each_reference_shows_its_own_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(Reference):
        def solve(self, scenario: Any) -> Bound | Infeasible:
            found = REFERENCES["oracle"]().solve(scenario)
            assert isinstance(found, Bound)
            return Bound(2 * found.objective, found.multipliers, imports=found.imports)

    monkeypatch.setitem(REFERENCES, "twice", Twice)
    oracle, twice = (run(ADDRESS, name, root=tmp_path).metrics for name in ("oracle", "twice"))
    assert twice["objective"] == 2 * float(oracle["objective"] or 0)
    assert (oracle["optimality_gap"], twice["optimality_gap"]) == (0, 1)
    assert twice["oracle_objective"] == oracle["oracle_objective"] == oracle["objective"]
    # Delay is free: four months allow peaks from 1.9 to hundreds of uncontrolled peaks at the same cost.
    assert oracle["cost"] == oracle["objective"]
    assert oracle["import_peak"] == pytest.approx(1.9016, abs=1e-4)
    assert (twice["cost"], twice["import_peak"]) == (None, None), "a single plan's are not the least over optima"


def test_the_comparison_of_a_scenario_does_not_depend_on_its_network(tmp_path: Path) -> None:
    store = Store(tmp_path)
    context = prepare_context(resolve_district(ADDRESS), store)
    assert context.oracle == "feasible"
    assert store.load_context(resolve("paper_seven/star/average-0.27")) == context
    assert store.load_context(resolve("paper_seven/star/average-0.3")) is None
