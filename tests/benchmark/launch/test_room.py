"""What jobs ask of this machine: refused where it has less, and begun as there is room."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import remote_jobs

from accord.benchmark.launch import launch, local
from accord.benchmark.launch.jobs import Ended, Job, Room
from accord.benchmark.launch.local import LocalLauncher
from accord.benchmark.machine import GPUS, cores_allowed, visible_gpus
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resources import Resources
from accord.benchmark.specs.run import Device, EffortSpec, make_run
from accord.envs.errors import UsageError

GB = 10**9
EFFORT = EffortSpec(steps=10)


def seen_by(rooms: Mapping[str, Room], folder: Path, **given: Any) -> dict[str, Any]:
    """What each job saw: the GPUs that it was given, and which others were at work beside it."""
    ended = list[Ended]()
    jobs = [
        Job(name, name, remote_jobs.beside, {"folder": str(folder), "name": name}, room=room)
        for name, room in rooms.items()
    ]
    LocalLauncher(quiet=True, **given).work(jobs, ended.append)
    assert [over.fault for over in ended] == [None] * len(rooms)
    return {over.job.name: over.value for over in ended}


def test_jobs_begin_as_there_is_room(tmp_path: Path) -> None:
    half = Room(1, 0.0, LocalLauncher()._memory // 2 + 1)
    found = seen_by({"a": half, "b": half}, tmp_path, jobs=2)
    assert [beside for _, beside in found.values()] == [[], []]
    wide = Room(min(2, cores_allowed()))
    found = seen_by({"a": wide, "b": wide, "c": Room()}, tmp_path, jobs=wide.cpus)
    assert [found[name][1] for name in "ab"] == [[], []]


def test_each_is_given_gpus_of_its_own_or_shares_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["4", "6"])
    found = seen_by({"a": Room(gpus=2.0), "b": Room(gpus=1.0)}, tmp_path, jobs=2)
    assert found == {"a": ("4,6", []), "b": ("4", [])}
    found = seen_by({"a": Room(gpus=0.5), "b": Room(gpus=0.5), "c": Room()}, tmp_path, jobs=1, gpus=[1])
    assert [given for given, _ in found.values()] == ["6", "6", None]
    taken = LocalLauncher(4, quiet=True)
    for number, expected in enumerate((["4"], ["4"], ["6"])):
        job = Job(str(number), "", remote_jobs.beside, room=Room(gpus=0.5))
        assert taken._free_gpus(job) == expected
        taken._active.append(local._Active(job, None, None, expected))  # type: ignore[arg-type]
    assert taken._free_gpus(Job("whole", "", remote_jobs.beside, room=Room(gpus=1.0))) is None


def test_gpus_are_named_as_the_environment_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv(GPUS, raising=False)
    assert visible_gpus() == ["0", "1"]
    monkeypatch.setenv(GPUS, "GPU-a, GPU-b")
    assert visible_gpus() == ["GPU-a", "GPU-b"]


@pytest.mark.parametrize(
    ("asked", "device", "said"),
    [
        (Resources(cpus=5_000), "cpu", "asks for 5000 CPUs, 0 GPUs and 0.0 GB; this machine has "),
        (Resources(memory=10**6 * GB), "cpu", "asks for 1 CPUs, 0 GPUs and 1000000.0 GB; this machine has "),
        (Resources(gpus=900), "cuda", "asks for 1 CPUs, 900 GPUs and 0.0 GB; this machine has "),
    ],
)
def test_more_than_there_is_is_one_line_before_anything_begins(
    tmp_path: Path, asked: Resources, device: Device, said: str
) -> None:
    fits = make_run("games/climbing", "random", 0)
    large = make_run("games/climbing", "random", 1, resources=asked, device=device)
    with pytest.raises(UsageError, match=f"^resources: '{large.label}' {said}") as caught:
        launch([fits, large], Store(tmp_path / "runs"), jobs=1)
    assert ("--device cuda" in str(caught.value)) == (device == "cuda")
    assert not Store(tmp_path / "runs").records()


def test_what_a_run_asks_for_reaches_its_training_too(tmp_path: Path) -> None:
    class Notes(LocalLauncher):
        def work(self, jobs: Any, *heard: Any) -> None:
            noted.extend(jobs)

    noted = list[Job]()
    asked = make_run("games/climbing", "ippo", 0, resources=Resources(cpus=2, memory=GB), device="cuda", effort=EFFORT)
    launch([asked], Store(tmp_path), launcher=Notes(1))
    assert [job.room for job in noted] == [Room(2, 1.0, GB)] * 2
