"""Launches in processes of their own that share a store: they divide the work, and one does what another left."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import remote_jobs
from helpers.sharing import Forking, Launching, noting

from accord.benchmark.launch.jobs import Ended, Job, State
from accord.benchmark.launch.training import policy_lease, prepare_policy
from accord.benchmark.records.identity import identify, policy_here
from accord.benchmark.records.lease import TakenError
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run

GAME, DISTRICT = "games/two_step", "synthetic_7-week/ring/average-0.4"
EFFORT = EffortSpec(steps=100, seconds=3_600)


@pytest.fixture(autouse=True)
def notes(tmp_path: Path) -> Iterator[Path]:
    """What was carried out, a line each time."""
    with noting(tmp_path) as path:
        yield path


def suite(runs: int) -> list[RunSpec]:
    """Runs without training, and runs of two trainings, each of which two runs share."""
    plain = [make_run(GAME, "noting", seed) for seed in range(runs)]
    learned = [
        make_run(DISTRICT.replace("ring", network), "learning", seed, effort=EFFORT, trained_on=DISTRICT)
        for network in ("ring", "star")
        for seed in range(2)
    ]
    return [*plain, *learned]


@pytest.mark.parametrize("launches", [2, 3])
def test_launches_on_one_store_divide_the_work(tmp_path: Path, notes: Path, launches: int) -> None:
    specs = suite(12)
    started = [Launching(specs, tmp_path / "runs") for _ in range(launches)]
    ended = [launching.end() for launching in started]
    assert [status for status, _ in ended] == [["done"] * len(specs)] * launches
    assert sum(fresh for _, fresh in ended) == len(specs)
    assert Counter(notes.read_text().split()) == {"run": 12, "training": 2}
    assert len(Store(tmp_path / "runs").records()) == len(specs)
    assert not list((tmp_path / "runs" / "leases").iterdir())


@pytest.fixture
def two(tmp_path: Path, notes: Path) -> tuple[list[RunSpec], Launching, Launching]:
    """A launch that is stuck after what was learned, which comes first, and one that has done all the rest."""
    specs = [make_run(GAME, "stuck", 0), *suite(4)]
    first = Launching(specs, tmp_path / "runs", 1)
    while "began" not in notes.read_text():
        time.sleep(0.02)
    second = Launching(specs, tmp_path / "runs", 1)
    while len(Store(tmp_path / "runs").records()) < len(specs) - 1:
        time.sleep(0.02)
    assert Counter(notes.read_text().split()) == {"run": 4, "training": 2, "began": 1}
    return specs, first, second


def test_what_a_killed_launch_was_at_another_does(
    tmp_path: Path, notes: Path, two: tuple[list[RunSpec], Launching, Launching]
) -> None:
    specs, first, second = two
    os.killpg(first.pid, signal.SIGKILL)  # and its job
    (tmp_path / "go-on").touch()
    assert second.end() == (["done"] * len(specs), 5)
    assert Counter(notes.read_text().split()) == {"run": 4, "training": 2, "began": 2}
    assert len(Store(tmp_path / "runs").records()) == len(specs)


def test_a_job_that_goes_on_without_its_launch_is_waited_for(
    tmp_path: Path, notes: Path, two: tuple[list[RunSpec], Launching, Launching]
) -> None:
    specs, first, second = two
    os.kill(first.pid, signal.SIGKILL)
    (tmp_path / "go-on").touch()
    assert second.end() == (["done"] * len(specs), 4)
    assert Counter(notes.read_text().split()) == {"run": 4, "training": 2, "began": 1}


def test_what_failed_at_one_launch_is_tried_by_the_other_and_replaces_nothing(tmp_path: Path, notes: Path) -> None:
    specs = [make_run(GAME, "failing", seed) for seed in range(2)]
    started = [Launching(specs, tmp_path / "runs", 1) for _ in range(2)]
    assert [launching.end() for launching in started] == [(["failed"] * 2, 2)] * 2
    assert notes.read_text().split() == ["failed"] * 4


def test_a_job_that_another_launch_has_waits_and_what_it_has_done_is_over(tmp_path: Path) -> None:
    def taken() -> State:
        looks.append("taken" if len(looks) < 2 else "free")
        return looks[-1]

    ended, begun, looks = list[Ended](), list[str](), list[State]()
    late = Job("late", "late", remote_jobs.taken_once, {"path": str(tmp_path / "late")}, needs=("done",))
    jobs = [
        Job("taken", "taken", remote_jobs.doubled, {"number": 21}, look=taken),
        Job("done", "done", remote_jobs.refused, look=lambda: "done"),
        late,
    ]
    Forking(1).work(jobs, ended.append, lambda job: begun.append(job.name))
    assert {over.job.name: (over.value, over.fault) for over in ended} == {
        "taken": (42, None),
        "done": (None, None),
        "late": ("done", None),
    }
    assert looks == ["taken", "taken", "free"]
    assert sorted(begun) == ["late", "late", "taken"]


def test_a_training_that_another_process_has_taken_over_keeps_nothing(tmp_path: Path) -> None:
    settings = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}
    run = identify(resolve_run(make_run(DISTRICT, "consensus-gossip", 0, settings=settings, effort=EFFORT)))
    store = Store(tmp_path)

    def lose(row: object) -> None:
        store.leases.path(policy_lease(run), 2).touch()

    with pytest.raises(TakenError, match="another process has taken over policy-"):
        prepare_policy(run, store, lose)
    assert list(store.policy(policy_here(run)).path.glob("*")) == []
    with pytest.raises(TakenError, match="another process is at work on policy-"):
        prepare_policy(run, store, wait=False)
