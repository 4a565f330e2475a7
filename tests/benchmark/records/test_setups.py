from typing import Any

import pytest
from helpers.records import record

from accord.benchmark.records.identity import Identity
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups

HERE = Identity(data="d", network="n", code="c", training="t")


def labels(records: list[Record]) -> dict[str, list[int]]:
    """Seeds by set-up."""
    return {key[4]: [one.spec.seed for one in own] for key, own in groups(records).items()}


def with_identity(seed: int, identity: Identity | None = HERE) -> Record:
    return record(seed=seed).model_copy(update={"identity": identity})


def changed(seed: int, **digests: str) -> Record:
    return with_identity(seed, HERE.model_copy(update=digests))


def test_seeds_of_one_set_up_are_replications_however_they_ended() -> None:
    runs = [record(seed=2, status="failed"), record(seed=0), record(seed=1, status="out of time", objective=3.0)]
    (key,) = groups(runs)
    assert key == ("hand", "paper_seven/ring/average-0.27", "consensus-gossip", "", "")
    assert labels(runs) == {"": [0, 1, 2]}


def test_runs_of_unlike_effort_are_told_apart_by_their_steps() -> None:
    runs = [record(seed=seed, steps=20_000 if seed < 3 else 40_000) for seed in range(5)]
    assert labels(runs) == {"20,000 steps": [0, 1, 2], "40,000 steps": [3, 4]}
    assert labels(runs[::-1]) == labels(runs)


def test_runs_of_unlike_settings_are_told_apart_by_these() -> None:
    runs = [record(seed=0, settings={"ppo": {"lr": lr}}) for lr in (0.001, 0.002)]
    assert labels(runs) == {"ppo.lr=0.001": [0], "ppo.lr=0.002": [0]}
    assert labels(runs[::-1]) == labels(runs)


def test_many_settings_are_counted() -> None:
    other = {"lr": 0.001, "gamma": 0.5, "epochs": 1, "clip_eps": 0.3, "entropy": 0.0}
    _, label = labels([record(seed=0), record(seed=1, settings={"ppo": other})])
    assert label == "ppo.clip_eps=0.3, ppo.entropy=0.0, ppo.epochs=1, 2 more"


def test_a_setting_that_a_spec_does_not_name_tells_it_from_one_that_does() -> None:
    run = record(seed=0)
    config = {name: value for name, value in run.spec.config.items() if name != "by_size"}
    before = run.model_copy(update={"spec": run.spec.model_copy(update={"config": config})})
    assert labels([before, before.model_copy(update={"spec": before.spec.model_copy(update={"seed": 1})})]) == {
        "": [0, 1]
    }
    assert labels([before, run]) == {"without by_size": [0], "by_size=False": [0]}


@pytest.mark.parametrize(
    ("digests", "word"),
    [
        ({"data": "other"}, "other data"),
        ({"network": "other"}, "other network"),
        ({"code": "other", "training": "other"}, "code of another version"),
        ({"training": "other"}, "trained by another version"),
    ],
    ids=str,
)
def test_what_a_spec_does_not_hold_tells_runs_apart(digests: dict[str, Any], word: str) -> None:
    assert labels([with_identity(0), with_identity(1), changed(2, **digests)]) == {"": [0, 1], word: [2]}
    assert labels([changed(0, **digests), with_identity(1), with_identity(2)]) == {word: [0], "": [1, 2]}


def test_three_versions_have_three_names() -> None:
    found = labels([with_identity(0), changed(1, code="second"), changed(2, code="third")])
    assert found == {"": [0], "code of another version": [1], "code of another version (2)": [2]}


def test_records_without_digests_do_not_share_a_row_with_those_that_have_them() -> None:
    assert labels([with_identity(0, None), with_identity(1, None)]) == {"": [0, 1]}
    assert labels([with_identity(0, None), with_identity(1, None), with_identity(2)]) == {
        "data, network and code not on record": [0, 1],
        "": [2],
    }
