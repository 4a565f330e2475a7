"""A finished run rolled out again says what its record says, or why it cannot."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from helpers.district_folder import write_folder

from accord.benchmark.launch.replay import CHECKED, buildings_of, replay
from accord.benchmark.launch.runner import run
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

SCENARIO = "synthetic_7-week/ring/average-0.4"
SMALL = {"copies": 4, "agents": 4, "ppo": {"hidden": [16]}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def learned(store: Store) -> Record:
    return run(SCENARIO, "consensus-gossip", settings=SMALL, steps=5_000, root=store.root)


@pytest.mark.parametrize("method", ["random", "rule_based"])
def test_a_rule_gives_the_numbers_of_its_record_again(store: Store, method: str) -> None:
    record = run(SCENARIO, method, seed=3, root=store.root)
    again = replay(record, store)
    assert [again.metrics[name] for name in CHECKED] == [record.metrics[name] for name in CHECKED]


def test_a_policy_that_was_trained_is_taken_from_the_store(store: Store, learned: Record) -> None:
    again = replay(learned, store)
    assert [again.metrics[name] for name in CHECKED] == [learned.metrics[name] for name in CHECKED]
    found = buildings_of(learned, store)
    assert found.district["delay"] == pytest.approx(learned.metrics["delay"])
    bill = sum(store.load_context(resolve(SCENARIO)).serve_now_bill)  # type: ignore[union-attr, arg-type]
    assert found.district["bill_today"] == pytest.approx(bill)


def test_today_is_shown_as_it_is_where_no_building_fails(store: Store) -> None:
    sound, failing = (
        buildings_of(run(SCENARIO.replace("ring", f"ring{fault}"), "random", root=store.root), store)
        for fault in ("", "+dead_idle-3")
    )
    today = [found.table.set_index("building")["bill_today"] for found in (sound, failing)]
    assert today[0].sort_index().equals(today[1].sort_index())
    assert today[0].min() > 0


def test_a_policy_that_is_not_there_is_a_mistake_with_a_remedy(store: Store, learned: Record, tmp_path: Path) -> None:
    shutil.copytree(store.root / "records", tmp_path / "records")
    with pytest.raises(UsageError, match=f"policy is not under {tmp_path}/; first: accord run .* --methods consensus"):
        replay(learned, Store(tmp_path))


def test_data_that_changed_since_are_told_and_not_shown(tmp_path: Path) -> None:
    folder, store = write_folder(tmp_path / "street", 672), Store(tmp_path / "runs")
    record = run(f"folder:{folder}/complete/average-0.5", "serve_now", root=store.root)
    prices = pd.read_csv(folder / "pricing.csv")
    (2 * prices).to_csv(folder / "pricing.csv", index=False)
    with pytest.raises(UsageError, match=r"code or data have changed since: cost was .* \$/h and is .* now; run it"):
        replay(record, store)


@pytest.mark.parametrize(
    ("scenario", "method", "said"),
    [
        (SCENARIO, "oracle", "'oracle' is a bound and does not act"),
        ("games/two_step", "random", "has no buildings; allowed: runs in districts"),
    ],
)
def test_a_run_without_buildings_of_its_own_is_a_mistake(store: Store, scenario: str, method: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        buildings_of(run(scenario, method, root=store.root), store)
