"""A launcher on a SLURM queue, by submitit: jobs that are ready at once are one array."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from rich.console import Console

from accord.benchmark.launch.jobs import Fault, Job, Result, Room
from accord.benchmark.launch.local import same_path
from accord.benchmark.launch.remote import Remote, carry_out
from accord.benchmark.places import Place, local_folder
from accord.envs.errors import UsageError

DAY = 24 * 60  # minutes that a job is given
BESIDE = 60  # minutes for the rest of a job, where what it says that it takes is longer than that


class SlurmLauncher(Remote):
    """Each job is one of SLURM's; those of one room that are ready together are one array; see `Launcher`."""

    def __init__(
        self,
        folder: Place,
        jobs: int | None = None,
        console: Console | None = None,
        *,
        cluster: str = "slurm",
        quiet: bool = False,
    ) -> None:
        """Set up.

        Args:
            folder: See `Remote`; SLURM's own output is kept in `slurm` of its `local_folder`.
            jobs: Most at a time.
            console: Where progress is shown.
            cluster: Of submitit: slurm, or local for processes of this machine.
            quiet: See `LocalLauncher`.

        Raises:
            UsageError: submitit is not installed, or there is no SLURM here.
        """
        super().__init__(folder, jobs, console, quiet=quiet)
        try:
            import submitit
        except ImportError:
            raise UsageError("--launcher slurm: needs submitit: pip install 'accord-bench[slurm]'") from None
        self._make = partial(submitit.AutoExecutor, folder=local_folder(folder) / "slurm", cluster=cluster)
        self._executors = dict[Room, Any]()
        try:
            self._make()
        except RuntimeError as fault:
            raise UsageError(f"--launcher slurm: {fault}") from None
        self._lost = submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError
        self._waiting = submitit.core.core.DelayedJob  # of an array that is not handed over yet

    @contextmanager
    def _open(self, jobs: Sequence[Job]) -> Iterator[None]:
        for room in {job.room for job in jobs}:
            minutes = minutes_of([job for job in jobs if job.room == room])
            self._executors[room] = self._make()
            self._executors[room].update_parameters(timeout_min=minutes, name="accord", **parameters(room))
        with super()._open(jobs):
            yield

    def _start_ready(self, pending: list[Job], unfinished: set[str], faults: Mapping[str, Fault]) -> None:
        with same_path(), warnings.catch_warnings(), ExitStack() as arrays:
            warnings.simplefilter("ignore", RuntimeWarning)  # that there is nothing to hand over
            for executor in self._executors.values():
                arrays.enter_context(executor.batch())
            super()._start_ready(pending, unfinished, faults)

    def _submit(self, job: Job, path: Place) -> Any:
        return self._executors[job.room].submit(carry_out, job.work, dict(job.data), str(path.absolute()))

    def _ended(self, handle: Any) -> Result | None:
        if not handle.done():
            return None
        try:
            found: Result = handle.result()
        except self._lost as fault:
            return "fault", ("failed", f"the job was lost: {' '.join(str(fault).split())[:200]}")
        return found

    def _cancel(self, handle: Any) -> None:
        if not isinstance(handle, self._waiting):  # an array that a signal came before is dropped
            handle.cancel()


def minutes_of(jobs: Sequence[Job]) -> int:
    """How long SLURM lets each of an array's jobs run: a day, and more where one of them says so."""
    return max([DAY, *(math.ceil(job.seconds / 60) + BESIDE for job in jobs)])


def parameters(room: Room) -> dict[str, Any]:
    """What is asked of SLURM, in the words of submitit; a part of a GPU is a whole one there, and memory in GiB."""
    asked: dict[str, Any] = {"cpus_per_task": room.cpus}
    if room.gpus:
        asked["gpus_per_node"] = math.ceil(room.gpus)
    if room.memory:
        asked["mem_gb"] = room.memory / 2**30
    return asked
