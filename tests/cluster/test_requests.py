"""What runs ask of a machine, as Ray and SLURM are told: it reaches the tasks, and too much is a line, not a wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import remote_jobs
from ray.cluster_utils import Cluster
from submitit.slurm.slurm import SlurmExecutor

from accord.benchmark.launch import launch, ray_cluster
from accord.benchmark.launch.jobs import Ended, Job, Room
from accord.benchmark.launch.ray_cluster import RayLauncher
from accord.benchmark.launch.slurm import SlurmLauncher, parameters
from accord.benchmark.launch.start import launcher_of
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resources import Resources
from accord.benchmark.specs.run import Device, make_run
from accord.benchmark.terminal import plain_console
from accord.envs.errors import UsageError

MEMORY = 200 * 2**20
ROOM = {"include_dashboard": False, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A machine of one core, and one of two cores and a GPU, as Ray is told."""
    settings = {"worker_niceness": 0}
    head = {"num_cpus": 1, "memory": MEMORY, "_system_config": settings}
    made = Cluster(initialize_head=True, head_node_args=ROOM | head)
    made.add_node(num_cpus=2, num_gpus=1, memory=2 * MEMORY, **ROOM)
    yield made
    made.shutdown()


def test_a_task_gets_what_it_asks_for(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "call_apart", remote_jobs.given_by_ray)
    rooms = {"plain": Room(), "gpu": Room(2, 1.0, 2 * MEMORY), "half": Room(1, 0.5)}
    jobs = [Job(name, name, remote_jobs.doubled, room=room) for name, room in rooms.items()]
    ended = dict[str, Ended]()
    RayLauncher(tmp_path, address=cluster.address, quiet=True).work(
        jobs, lambda over: ended.update({over.job.name: over})
    )
    assert {name: over.value for name, over in ended.items()} == {
        "plain": {"CPU": 1.0},
        "gpu": {"CPU": 2.0, "GPU": 1.0, "memory": 2.0 * MEMORY},
        "half": {"CPU": 1.0, "GPU": 0.5},
    }


@pytest.mark.parametrize(
    "asked", [Resources(cpus=3), Resources(memory=3 * MEMORY), Resources(gpus=2), Resources(cpus=2, gpus=2)]
)
def test_more_than_any_node_has_is_one_line(cluster: Cluster, tmp_path: Path, asked: Resources) -> None:
    device: Device = "cuda" if asked.gpus else "cpu"
    large = make_run("games/climbing", "random", 1, resources=asked, device=device)
    launcher = launcher_of("ray", tmp_path, plain_console(stderr=True), address=cluster.address)
    with pytest.raises(
        UsageError, match=f"^resources: '{large.label}' asks for .*; the Ray cluster has 1 CPUs, 0 GPUs"
    ):
        launch([make_run("games/climbing", "random", 0), large], Store(tmp_path), launcher=launcher)
    assert not Store(tmp_path).records()


def test_a_cluster_that_is_started_here_has_no_more_than_this_machine(tmp_path: Path) -> None:
    job = Job("a", "a", remote_jobs.doubled, room=Room(5_000))
    with pytest.raises(UsageError, match=r"^resources: 'a' asks for 5000 CPUs, .*; the Ray cluster has "):
        RayLauncher(tmp_path, 1, quiet=True).work([job], print)


def test_slurm_is_told_in_its_own_words(tmp_path: Path) -> None:
    assert parameters(Room()) == {"cpus_per_task": 1}
    executor = SlurmExecutor(folder=tmp_path)
    asked = executor._convert_parameters(parameters(Room(4, 1.5, 3 * 2**30)))
    assert asked == {"cpus_per_task": 4, "gpus_per_node": 2, "mem": "3GB"}
    executor.update_parameters(**asked)
    written = executor._make_submission_file_text("true", "here")
    for line in ("--cpus-per-task=4", "--gpus-per-node=2", "--mem=3GB"):
        assert f"#SBATCH {line}\n" in written


def test_a_job_of_slurm_gets_a_day_or_the_longer_time_that_it_says(tmp_path: Path) -> None:
    launcher = SlurmLauncher(tmp_path, cluster="local", quiet=True)
    limits = {Room(): [0.0, 3_600.0], Room(2): [0.0, 48 * 3_600.0]}
    jobs = [
        Job(f"{room} {seconds}", "", remote_jobs.doubled, {"number": 1}, room=room, seconds=seconds)
        for room, each in limits.items()
        for seconds in each
    ]
    launcher.work(jobs, lambda over: None)
    told = {room: executor.parameters["timeout_min"] for room, executor in launcher._executors.items()}
    assert told == {Room(): 24 * 60, Room(2): 49 * 60}


def test_jobs_of_one_room_are_an_array_of_their_own(tmp_path: Path) -> None:
    launcher = SlurmLauncher(tmp_path, cluster="local", quiet=True)
    rooms = [Room(), Room(2, memory=MEMORY), Room()]
    jobs = [Job(str(n), "", remote_jobs.doubled, {"number": n}, room=room) for n, room in enumerate(rooms)]
    ended = dict[str, Ended]()
    launcher.work(jobs, lambda over: ended.update({over.job.name: over}))
    assert {name: over.value for name, over in ended.items()} == {"0": 0, "1": 2, "2": 4}
    told = {room: executor.parameters["cpus_per_task"] for room, executor in launcher._executors.items()}
    assert told == {Room(): 1, Room(2, memory=MEMORY): 2}
