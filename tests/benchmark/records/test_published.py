"""Published runs and the policies that they name keep their digests, whatever moves or is added."""

from pathlib import Path

import pandas as pd
import pytest

import accord.baselines
from accord.baselines.base import Method, identity_of
from accord.benchmark.report.leaderboard import read_runs
from accord.benchmark.specs.resolved import resolve_run
from accord.envs.demand_response.scenario import DistrictScenario

RESULTS = Path(__file__).parents[3] / "results"
SUITES = ("allocation", "core", "hourly", "large", "paper", "shift", "validation")


def test_every_published_suite_is_pinned() -> None:
    assert {path.parent.name for path in RESULTS.glob("*/runs.parquet")} == set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_published_runs_and_policies_keep_their_digests(suite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = RESULTS / suite / "runs.parquet"
    records = read_runs(table)
    # Numbers of synthetic districts differ between processors in their last bits, and with them the data's digest:
    # policies are named by those of the machine that published.
    drawn = {r.spec.scenario.split("/")[0]: r.provenance.data_digest for r in records if "synthetic" in r.spec.scenario}
    here = DistrictScenario.digest.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(DistrictScenario, "digest", property(lambda s: drawn.get(s.district.name) or here(s)))
    assert [record.spec.digest for record in records] == pd.read_parquet(table, columns=["run"])["run"].tolist()
    assert [resolve_run(record.spec).policy for record in records] == [record.policy for record in records]


def test_the_words_of_learning_classes_are_those_of_the_published() -> None:
    words = {identity_of(entry.method) for entry in accord.baselines.METHODS.values() if entry.method.learns}
    assert words == {
        "baselines.consensus.Consensus",
        "baselines.mappo.PolicyGradient",
        "baselines.momappo.Momappo",
        "baselines.value_decomposition.ValueDecomposition",
        "baselines.attention.AttentionIPPO",
        "baselines.lgtc.LGTC",
    }


def test_a_class_that_learns_in_another_way_does_not_inherit_its_parents_word() -> None:
    parent: type[Method] = accord.baselines.METHODS["ippo"].method
    child = type("Child", (parent,), {"__module__": "outside"})
    assert identity_of(child) == "outside.Child"
