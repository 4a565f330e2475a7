"""The suite `scale-quality` on two buildings: real trainings in real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import accord.benchmark.performance.cells
from accord.benchmark.performance.scale_quality import QualityLine, QualitySuite, load_scale_quality, run_scale_quality
from accord.envs.errors import UsageError

SETTINGS = {"ppo.hidden": [16, 16], "ppo.lr": 3e-3, "copies": 8}
PARTS = {"ppo.hidden": [16, 16], "ppo.lr": 1e-2, "lanes": 32, "scalarisations": 2}
SUITE = QualitySuite(
    district="synthetic_N-week",
    agents=(2, 3),
    seconds=60,
    memory_gib=8,
    steps=1_600_000,  # far more than it takes on any machine
    seed=0,
    budget="average-0.9",  # a budget that asks for nothing: good is what is cheap
    network="ring",
    lines={
        "gossip": QualityLine(method="consensus-gossip", settings=SETTINGS),
        "parts": QualityLine(method="momappo", settings=PARTS),
        "late": QualityLine(method="consensus-gossip", settings={**SETTINGS, "ppo.lr": 1e-8}),
    },
)


@pytest.fixture(scope="module", autouse=True)
def undisturbed() -> Iterator[None]:
    """Other tests may run beside these: what is measured is kept all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accord.benchmark.performance.cells, "LEAST_SHARE", 0.0)
        yield


def test_training_stops_once_its_policy_is_good(tmp_path: Path) -> None:
    told: list[str] = []
    # It stops by itself, however long that takes.
    suite = SUITE.model_copy(update={"seconds": 3_600})
    row = run_scale_quality(suite, ["gossip"], [2], 1, tmp_path, told.append)[0]
    assert row["status"] == "done"
    assert row["gap"] == row["best_gap"] <= 0.1
    assert row["violation"] <= 0.01
    assert 0 < row["steps"] < SUITE.steps
    assert told[0].startswith("gossip, 2 agents: done, ")
    again = run_scale_quality(suite, ["gossip"], [2], 1, tmp_path, told.append)[0]
    assert again == {**row, "fresh": False}


def test_a_line_ends_out_of_time_after_ever_longer_trainings(tmp_path: Path) -> None:
    suite = SUITE.model_copy(update={"steps": 400, "seconds": 4})
    rows = run_scale_quality(suite, ["late"], [], 1, tmp_path, lambda line: None)
    assert [(row["n_agents"], row["status"]) for row in rows] == [(2, "out of time")]
    assert rows[0]["trainings"] > 1
    assert rows[0]["steps"] > suite.steps
    assert rows[0]["best_gap"] > 0.1


def test_a_method_that_shows_no_policy_before_its_end_is_looked_at_there(tmp_path: Path) -> None:
    suite = SUITE.model_copy(update={"steps": 20_000, "seconds": 3_600})  # the second training is good enough
    row = run_scale_quality(suite, ["parts"], [2], 1, tmp_path, lambda line: None)[0]
    assert row["steps"] >= suite.steps
    assert row["best_gap"] < 1


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="LINES: 'gosip' is not in the suite; allowed: gossip, parts, late"):
        run_scale_quality(SUITE, ["gosip"], [], 1, tmp_path, lambda line: None)
    impossible = SUITE.model_copy(update={"budget": "average-0.01"})
    with pytest.raises(UsageError, match="no plan meets its budget"):
        run_scale_quality(impossible, ["late"], [2], 1, tmp_path, lambda line: None)


def test_the_suite_that_comes_along_can_be_read() -> None:
    suite = load_scale_quality()
    assert suite.agents[-1] == 64
    assert {line.method for line in suite.lines.values()} >= {"consensus-gossip", "mappo-augmented", "qmix-lagrangian"}
