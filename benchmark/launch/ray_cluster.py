"""A launcher on a Ray cluster: a running one, or one that is started on this machine and ends with the launch."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

from rich.console import Console

from accord.benchmark.forked import LostError, call_apart
from accord.benchmark.launch.jobs import Job, Result, Room, see_that_there_is_room
from accord.benchmark.launch.remote import GLANCE, Remote, carry_out
from accord.benchmark.machine import cores_allowed
from accord.benchmark.places import Place
from accord.envs.errors import UsageError

SECONDS = 10.0  # that a cluster may take to answer
LOADED = ["ray", "accord.benchmark.launch.start"]  # a process also runs the module of Ray that its parent began with
RETRIES = 3  # of a job whose machine or process was lost; a training goes on from its checkpoint


class RayLauncher(Remote):
    """Each job is a task, whose process forks one for it; see `Launcher`."""

    def __init__(
        self,
        folder: Place,
        jobs: int | None = None,
        console: Console | None = None,
        *,
        address: str | None = None,
        quiet: bool = False,
    ) -> None:
        """Set up.

        Args:
            folder: See `Remote`.
            jobs: Most tasks at a time; with a cluster of this launch's own also its cores, one per core by default.
            console: Where progress is shown.
            address: Of a running cluster, like ray://HOST:10001 or auto; one is started without.
            quiet: See `LocalLauncher`.

        Raises:
            UsageError: Ray is not installed.
        """
        super().__init__(folder, jobs, console, quiet=quiet)
        self._ray, self._address, self._cores = _ray(), address, jobs or os.cpu_count() or 1

    @contextmanager
    def _open(self, jobs: Sequence[Job]) -> Iterator[None]:
        # One of its own may give a job all cores of the machine, however few run at a time.
        most = min(max((job.room.cpus for job in jobs), default=1), cores_allowed())
        with cluster(self._address, max(self._cores, most)) as ray:
            see_that_there_is_room(jobs, _machines(ray), "the Ray cluster")
            self._task = ray.remote(max_retries=RETRIES, retry_exceptions=[LostError])(call_apart)
            # What Ray says of lost nodes it prints where the report is to stand alone.
            with redirect_stdout(sys.stderr), super()._open(jobs):
                yield

    def _submit(self, job: Job, path: Place) -> Any:
        call = pickle.dumps((carry_out, job.work, dict(job.data), str(path.absolute())))
        room = {"num_cpus": job.room.cpus, "num_gpus": job.room.gpus, "memory": job.room.memory}
        return self._task.options(name=job.title, **room).remote(call, LOADED)

    def _ended(self, handle: Any) -> Result | None:
        if not self._ray.wait([handle], timeout=0)[0]:
            return None
        try:
            found: Result = self._ray.get(handle)
        except self._ray.exceptions.RayError as fault:
            said = " ".join(str(getattr(fault, "cause", fault)).split())
            return "fault", ("failed", f"the process was lost: {said[:200]}")
        return found

    def _rest(self, handles: Sequence[Any]) -> None:
        self._ray.wait(list(handles), timeout=GLANCE)

    def _cancel(self, handle: Any) -> None:
        self._ray.cancel(handle, force=True)


@contextmanager
def cluster(address: str | None, cores: int) -> Iterator[Any]:
    """A cluster to use while entered; its processes import from where this one does. Gives the module `ray`.

    Args:
        address: Of a running one; one is started on this machine without, and ends with this.
        cores: Of one that is started.

    Raises:
        UsageError: Ray is not installed, or nobody answers at the address.
    """
    ray = _ray()
    _see_that_it_answers(address)
    path = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    try:
        ray.init(
            address=address or "local",
            num_cpus=None if address else cores,
            include_dashboard=None if address else False,
            runtime_env={"env_vars": path},
            log_to_driver=False,
            logging_level="error",
            # Ray's own is 15, by which whatever else the machine does would come first.
            _system_config=None if address else {"worker_niceness": 0},
        )
    except (ConnectionError, ValueError) as fault:
        raise UsageError(f"--address '{address}': no Ray cluster answers there ({fault})") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _machines(ray: Any) -> list[Room]:
    """What each machine of a cluster has."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Room(int(has.get("CPU", 0)), has.get("GPU", 0.0), int(has.get("memory", 0))) for has in alive]


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError("--launcher ray: needs ray: pip install 'accord-bench[ray]'") from None
    return ray


def _see_that_it_answers(address: str | None) -> None:
    """Ray itself tries for minutes.

    Raises:
        UsageError: nobody answers at the address.
    """
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS).close()
    except (OSError, OverflowError) as fault:
        raise UsageError(f"--address '{address}': no Ray cluster answers there ({fault})") from None
