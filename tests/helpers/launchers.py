"""A launcher for tests that have to see what a job does."""

from collections.abc import Callable, Sequence

from accord.benchmark.launch.jobs import Ended, Job


class Here:
    """Carries jobs out in this process, one after the other."""

    def work(self, jobs: Sequence[Job], on_end: Callable[[Ended], None]) -> None:
        for job in jobs:
            on_end(Ended(job, job.work(job.data, lambda done: None)))
