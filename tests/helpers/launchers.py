"""A launcher for tests that have to see what a job does."""

from collections.abc import Callable, Sequence

from accord.benchmark.launch.jobs import Ended, Job, Row


class Here:
    """Carries jobs out in this process, one after the other."""

    def work(
        self,
        jobs: Sequence[Job],
        on_end: Callable[[Ended], None],
        on_start: Callable[[Job], None] = lambda job: None,
        on_row: Callable[[Job, Row], None] = lambda job, row: None,
    ) -> None:
        for job in jobs:
            on_start(job)

            def tell(done: float, row: Row, job: Job = job) -> None:
                on_row(job, row)

            on_end(Ended(job, job.work(job.data, tell)))
