"""Jobs that run elsewhere, by Ray and by submitit's local executor: the contract is that of the local launcher."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from helpers import remote_jobs

from accord.benchmark.launch.jobs import Ended, Job, Launcher, Row, State
from accord.benchmark.launch.ray_cluster import RayLauncher
from accord.benchmark.launch.slurm import SlurmLauncher
from accord.benchmark.performance.launchers import main
from accord.envs.errors import UsageError

MADE: dict[str, Callable[[Path], Launcher]] = {
    "ray": lambda folder: RayLauncher(folder, 2, quiet=True),
    "slurm": lambda folder: SlurmLauncher(folder, 2, cluster="local", quiet=True),
}
WORK = [
    Job("a", "a", remote_jobs.doubled, {"number": 21}, total=3),
    Job("b", "b", remote_jobs.refused),
    Job("c", "c", remote_jobs.doubled, {"number": 1}, needs=("b",)),
    Job("d", "d", remote_jobs.doubled, {"number": 0}, needs=("a",), total=3),
]


@pytest.fixture(params=MADE)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Launcher:
    return MADE[request.param](tmp_path)


def test_jobs_begin_in_order_show_themselves_and_end_as_anywhere(launcher: Launcher, tmp_path: Path) -> None:
    ended, begun, rows = dict[str, Ended](), list[str](), list[tuple[str, Row]]()

    def on_end(over: Ended) -> None:
        ended[over.job.name] = over

    launcher.work(WORK, on_end, lambda job: begun.append(job.name), lambda job, row: rows.append((job.name, row)))
    assert (ended["a"].value, ended["a"].fault) == (42, None)
    assert ended["b"].fault == ended["c"].fault == ("failed", "this cannot be done")
    assert ended["d"].value == 0
    assert sorted(begun) == ["a", "b", "d"]
    assert rows == [(name, {"steps": n, "double": 2.0 * n}) for name in ("a", "d") for n in (1, 2, 3)]
    assert not list(tmp_path.glob(".launch-*"))


def test_a_job_that_another_launch_was_faster_to_take_begins_again(launcher: Launcher, tmp_path: Path) -> None:
    ended, begun = list[Ended](), list[str]()
    job = Job("a", "a", remote_jobs.taken_once, {"path": str(tmp_path / "taken")})
    launcher.work([job], ended.append, lambda job: begun.append(job.name))
    assert ended == [Ended(job, "done")]
    assert begun == ["a", "a"]


def test_a_task_of_ray_whose_process_was_lost_is_carried_out_again(tmp_path: Path) -> None:
    ended = dict[str, Ended]()
    jobs = [Job("once", "once", remote_jobs.ends_once, {"path": str(tmp_path / "began")})]
    jobs += [Job("each time", "each time", remote_jobs.ends)]
    RayLauncher(tmp_path, 1, quiet=True).work(jobs, lambda over: ended.update({over.job.name: over}))
    assert (ended["once"].value, ended["once"].fault) == ("done", None)
    assert ended["each time"].fault == ("failed", "the process was lost: the process ended with 7")


def test_a_job_of_slurm_whose_process_was_lost_is_a_fault(tmp_path: Path) -> None:
    ended = list[Ended]()
    SlurmLauncher(tmp_path, 1, cluster="local", quiet=True).work(
        [Job("a", "a", remote_jobs.ends_once, {"path": str(tmp_path / "began")})], ended.append
    )
    assert ended[0].fault is not None
    assert ended[0].fault[1].startswith("the job was lost: ")


def test_a_signal_while_jobs_are_handed_over_to_slurm_ends_those_that_were(tmp_path: Path) -> None:
    """The array that it comes before is dropped."""
    pid = tmp_path / "pid"

    def interrupt() -> State:
        while not (pid.exists() and pid.read_text()):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
        return "free"

    jobs = [
        Job("a", "a", remote_jobs.rests, {"path": str(pid)}),
        Job("b", "b", remote_jobs.doubled, {"number": 1}),
        Job("c", "c", remote_jobs.doubled, {"number": 2}, needs=("b",), look=interrupt),
        Job("d", "d", remote_jobs.doubled, {"number": 3}, needs=("b",)),
    ]
    with pytest.raises(KeyboardInterrupt):
        SlurmLauncher(tmp_path, cluster="local", quiet=True).work(jobs, lambda over: None)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid.read_text())).wait()


def test_what_launchers_cost_is_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    main(["none", "local", "ray", "--runs", "3"])
    rows = [line.split()[1::2] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [name for name, *_ in rows] == ["none", "local", "ray"]
    assert all(float(number) >= 0 for _, *numbers in rows for number in numbers)


def test_what_is_not_here_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--launcher slurm: "):
        SlurmLauncher(tmp_path)
    with pytest.raises(UsageError, match="--address 'localhost:1': no Ray cluster answers"):
        RayLauncher(tmp_path, address="localhost:1").work(WORK, lambda over: None)
