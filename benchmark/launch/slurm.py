"""A launcher on a SLURM queue, by submitit: jobs that are ready at once are one array."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from accord.benchmark.launch.jobs import Fault, Job, Result
from accord.benchmark.launch.local import same_path
from accord.benchmark.launch.remote import Remote, carry_out
from accord.benchmark.places import Place, local_folder
from accord.envs.errors import UsageError

MINUTES = 24 * 60  # that a job may take, unless asked otherwise


class SlurmLauncher(Remote):
    """Each job is one of SLURM's, with one core; see `Launcher`."""

    def __init__(
        self,
        folder: Place,
        jobs: int | None = None,
        console: Console | None = None,
        *,
        cluster: str = "slurm",
        minutes: int = MINUTES,
        quiet: bool = False,
    ) -> None:
        """Set up.

        Args:
            folder: See `Remote`; SLURM's own output is kept in `slurm` of its `local_folder`.
            jobs: Most at a time.
            console: Where progress is shown.
            cluster: Of submitit: slurm, or local for processes of this machine.
            minutes: That a job may take.
            quiet: See `LocalLauncher`.

        Raises:
            UsageError: submitit is not installed, or there is no SLURM here.
        """
        super().__init__(folder, jobs, console, quiet=quiet)
        try:
            import submitit
        except ImportError:
            raise UsageError("--launcher slurm: needs submitit: pip install 'accord-bench[slurm]'") from None
        try:
            self._executor = submitit.AutoExecutor(folder=local_folder(folder) / "slurm", cluster=cluster)
        except RuntimeError as fault:
            raise UsageError(f"--launcher slurm: {fault}") from None
        self._executor.update_parameters(timeout_min=minutes, cpus_per_task=1, name="accord")
        self._lost = submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError

    def _start_ready(self, pending: list[Job], unfinished: set[str], faults: Mapping[str, Fault]) -> None:
        with same_path(), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that there is nothing to hand over
            with self._executor.batch():  # one array
                super()._start_ready(pending, unfinished, faults)

    def _submit(self, job: Job, path: Place) -> Any:
        return self._executor.submit(carry_out, job.work, dict(job.data), str(path.absolute()))

    def _ended(self, handle: Any) -> Result | None:
        if not handle.done():
            return None
        try:
            found: Result = handle.result()
        except self._lost as fault:
            return "fault", ("failed", f"the job was lost: {' '.join(str(fault).split())[:200]}")
        return found

    def _cancel(self, handle: Any) -> None:
        handle.cancel()
