"""The studies of multi-resource allocation: on a small suite, and on play whose answer is known."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.launch.jobs import Ended
from accord.benchmark.launch.local import Here, LocalLauncher
from accord.benchmark.launch.runner import execute
from accord.benchmark.launch.training import controller_of
from accord.benchmark.records.published import SUMS
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import Suite, load_suite
from accord.benchmark.studies.contraction import _by_agreement, contraction
from accord.benchmark.studies.gap import Changed, flown, gap
from accord.benchmark.studies.make import _job, _kept, _place, run_studies
from accord.benchmark.studies.policies import headed_for
from accord.benchmark.studies.reassignment import _recovery, reassignment
from accord.benchmark.studies.report import _reassignment, gap_parts, write_studies
from accord.envs.allocation.dynamics import ResourceAllocation
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

SETTINGS = {"width": 6, "embedding": 8, "lanes": 40, "ppo": {"hidden": [8], "rollout_steps": 20}}
STUDIED = "allocation_10x2/radius-1/steady"
SUITE = Suite.model_validate(
    {
        "name": "small",
        "description": "A policy, without its regulariser too, carried elsewhere, and under jumps.",
        "subject": "lgtc-ippo",
        "seeds": 1,
        "effort": {"steps": 2_000, "seconds": 3_600},
        "entries": [
            {
                "scenarios": [STUDIED],
                "methods": ["lgtc-ippo"],
                "variants": {"": SETTINGS, "unregularised": SETTINGS | {"alpha": 0.0}},
            },
            {
                "scenarios": ["allocation_5x2/radius-1/steady"],
                "methods": ["lgtc-ippo"],
                "variants": {"": SETTINGS},
                "trained_on": STUDIED,
            },
            {"scenarios": ["allocation_10x2/radius-1/jumps"], "methods": ["allocation_expert"]},
        ],
    }
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """With the runs of the small suite."""
    made = Store(tmp_path_factory.mktemp("runs"))
    with pytest.MonkeyPatch.context() as patch:
        # An expert of many takes long.
        patch.setattr("accord.benchmark.launch.runner.evaluate", partial(evaluate, episodes=2))
        for spec in runs_of(SUITE):
            assert execute(resolve_run(spec), made).status == "done"
    return made


def test_every_study_is_written(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.benchmark.studies.gap.GAP_EPISODES", 2)
    monkeypatch.setattr("accord.benchmark.studies.reassignment.CHANGED_EPISODES", 2)
    monkeypatch.setattr("accord.benchmark.studies.contraction.JACOBIANS", 2)
    lines = list[str]()
    tables = run_studies(SUITE, store, lines.append, Here())
    assert lines[-1].startswith(f"{len(lines)} of {len(lines)} studies; reassignment: ")
    again = run_studies(SUITE, store, lines.append, Here())
    assert all(table.equals(again[name]) for name, table in tables.items())
    assert lines[-1].startswith(f"{len(lines)} of"), "what was made is kept"
    assert list(tables["contraction"]["variant"]) == ["", "unregularised"]
    assert (tables["contraction"]["states"] == 2 * 20).all()
    assert sorted(tables["gap"]["scenario"].unique()) == [STUDIED, "allocation_5x2/radius-1/steady"]
    silent = tables["gap"][tables["gap"]["as"] == "silent"]
    assert (silent["messages"] == 0).all()
    parts = gap_parts(tables["gap"])
    lacks = parts[["served", "completed", "collisions"]].sum(axis=1)
    pd.testing.assert_series_equal(lacks, parts["episode_return"], check_names=False)
    files = write_studies(tables, tmp_path)
    suffixes = sorted(path.suffix for path in files if path.name != SUMS)
    assert suffixes == [*[".csv"] * 3, ".md", ".pdf", ".png"]
    text = (tmp_path / "studies.md").read_text()
    assert text.count("\n| 10 |") == text.count("\n| 5 |") == text.count("| jumps | allocation_expert |") == 1


def test_studies_are_made_side_by_side(store: Store) -> None:
    asked = [_job("contraction", spec, store) for spec in runs_of(SUITE) if spec.scenario == STUDIED]
    ended = list[Ended]()
    LocalLauncher(2, quiet=True).work(asked, ended.append)
    assert {over.job.name for over in ended} == {job.name for job in asked}
    assert not any(over.fault for over in ended)
    for job in asked:
        spec = RunSpec(**job.data["spec"])
        assert _kept(store.root, "contraction", spec) == contraction(resolve_run(spec), store)
    path, _ = _place(store.root, "contraction", spec)
    path.write_bytes(path.read_bytes()[:-9])
    assert _kept(store.root, "contraction", spec) is None, "it is made again"


def test_fresh_states_contract_and_their_trajectories_meet(store: Store) -> None:
    (found,) = contraction(resolve_run(runs_of(SUITE)[0]), store)
    assert found["share_negative"] == 1
    assert found["largest"] <= -found["certified"] + 1e-6
    assert found["apart"] < 1e-3
    assert 1 / 4 < found["attention"] < 1


def test_the_expert_heads_where_it_is_sent_and_flying_there_again_changes_nothing(store: Store) -> None:
    spec = next(spec for spec in runs_of(SUITE) if spec.method == "allocation_expert")
    scenario = resolve(STUDIED)
    plain = evaluate(scenario, controller_of(resolve_run(spec), store, scenario), Context(), seeded(0, "e"), episodes=2)
    again = evaluate(
        scenario,
        Changed(controller_of(resolve_run(spec), store, scenario), flown),
        Context(),
        seeded(0, "e"),
        episodes=2,
    )
    assert again.metrics["episode_return"] == pytest.approx(plain.metrics["episode_return"], abs=0.3)


def test_who_heads_where() -> None:
    scenario = resolve("allocation_4x1/radius-1/steady")
    task = scenario.task()
    assert isinstance(task, ResourceAllocation)
    task.reset(1, torch.Generator().manual_seed(0))
    task.consumers = torch.tensor([[[-0.5, 0.0], [0.5, 0.0]]])
    task.places = torch.tensor([[[0.0, 0.0], [-0.9, 0.01], [0.0, 0.0], [0.45, 0.0]]])
    velocities = torch.tensor([[[-1.0, 0.1], [1.0, 0.0], [0.0, 0.0], [0.1, 0.0]]])
    assert headed_for(task, velocities).tolist() == [[0, 0, -1, 1]]  # the nearest ahead; the last one waits
    away = torch.tensor([[[0.0, 1.0], [-1.0, 0.0], [0.7, -0.4], [-1.0, 0.0]]])
    assert headed_for(task, away).tolist() == [[-1, -1, 1, 0]]


def test_the_expert_loses_little_at_a_jump(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.benchmark.studies.reassignment.CHANGED_EPISODES", 4)
    spec = next(spec for spec in runs_of(SUITE) if spec.method == "allocation_expert")
    table = pd.DataFrame(reassignment(resolve_run(spec), store))
    assert len(table) == 4
    assert table["shaken"].any()
    assert table["seconds"].median() <= 2  # it assigns once a second
    assert table["excess_0"].mean() > table["excess_1"].mean()
    assert (table["unchanged"].abs() < 0.1).all()  # between two assignments of its own


@pytest.mark.parametrize(
    ("excess", "shaken", "seconds", "undisturbed"),
    [
        ([0.4, 0.3, 0.04, 0.0, 0.0, 0.5], True, 1.0, True),
        ([0.0, 0.3, 0.3, -0.1, 0.0, 0.0], True, 1.5, True),
        ([0.4, 0.0, 0.3, 0.0, 0.3, 0.0], True, np.nan, True),  # up and down
        ([0.4, 0.3, 0.2, 0.2, 0.0, 0.0], True, np.nan, True),  # whether it stays is not seen
        ([0.4, 0.3, 0.0, 0.0, np.nan, np.nan], True, np.nan, False),
        ([0.01, 0.02, 0.0, 0.2, 0.0, 0.0], False, np.nan, True),
    ],
)
def test_recovery_is_the_first_look_after_a_rise_from_which_on_it_is_low_for_a_second(
    excess: list[float], shaken: bool, seconds: float, undisturbed: bool
) -> None:
    found = _recovery(np.arange(6) / 2, np.array(excess))
    assert found["shaken"] is shaken
    assert found["undisturbed"] is undisturbed
    assert found["seconds"] == pytest.approx(seconds, nan_ok=True)


def test_who_picks_the_same_is_told_from_who_does_not() -> None:
    states = torch.tensor([[[0.0], [1.0], [5.0]]])
    (same, pairs), (apart, others) = _by_agreement(states, torch.tensor([[7, 7, 2]])).tolist()
    assert (same, pairs) == (2.0, 2)  # each pair counts both ways
    assert (apart, others) == (18.0, 4)


def test_a_second_change_leaves_an_episode_out_of_the_table() -> None:
    undisturbed, disturbed = np.full(13, 0.2), np.full(13, 0.2)
    undisturbed[4:], disturbed[5:] = 0.0, np.nan
    looks = np.arange(13) / 2
    rows = [_recovery(looks, row) | {"unchanged": 0.1} for row in (undisturbed, undisturbed, disturbed)]
    names = {"scenario": "allocation_10x2/radius-1/jumps", "method": "ippo", "variant": "", "seed": 0}
    assert "| jumps | ippo | 2 | 0.10 | 0.20 | 0.20 | 0.00 | 0.00 | 100 | 2.0 (in 100 %) |" in _reassignment(
        pd.DataFrame([names | row for row in rows])
    )


def test_policies_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lgtc-ippo seed 0: no policy under .*; first: accord run small"):
        run_studies(SUITE, Store(tmp_path), lambda line: None, Here())


def test_the_gap_of_a_policy_is_that_of_what_it_is_changed_to(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accord.benchmark.studies.gap.GAP_EPISODES", 2)
    rows = {row["as"]: row for row in gap(resolve_run(runs_of(SUITE)[0]), store)}
    assert rows["clear"]["collisions"] <= rows["policy"]["collisions"]
    assert rows["connected"]["messages"] == pytest.approx(2 * 2 * 9)
    # A policy that was hardly trained hardly moves, but it attends to something.
    assert rows["attended"]["episode_return"] != rows["flown"]["episode_return"]


def test_the_suite_has_what_the_studies_look_into() -> None:
    specs = runs_of(load_suite("allocation"))
    assert {spec.variant for spec in specs if spec.scenario == STUDIED} >= {"", "unregularised"}
    assert {spec.scenario.rsplit("/", 1)[1] for spec in specs} >= {"steady", "jumps", "failures"}
