"""What carrying a run out costs beside the run: `make bench-launchers`.

A sweep of tiny runs, one at a time, by every launcher and by none. Between the first run's end and the last one's are
the wall-clock and the processor seconds of the others, those of every process that the launcher keeps included; what
comes before is its start.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from rich.table import Table

from accord.benchmark.launch.jobs import Ended, Job, Launcher, Row
from accord.benchmark.launch.local import LocalLauncher
from accord.benchmark.launch.ray_cluster import RayLauncher
from accord.benchmark.launch.start import launch
from accord.benchmark.machine import one_thread
from accord.benchmark.records.store import Store
from accord.benchmark.specs.run import make_run
from accord.benchmark.terminal import plain_console, replace_unprintable
from accord.envs.errors import UsageError

ADDRESS, METHOD = "synthetic_7-week/ring/average-0.4", "random"  # a tenth of a second
Figures = dict[str, float]


class Here:
    """No launcher: every job in this process."""

    def work(
        self,
        jobs: Sequence[Job],
        on_end: Callable[[Ended], None],
        on_start: Callable[[Job], None] = lambda job: None,
        on_row: Callable[[Job, Row], None] = lambda job, row: None,
    ) -> None:
        """See `Launcher.work`."""
        for job in jobs:
            on_end(Ended(job, job.work(job.data, lambda done, row: None)))


MADE: dict[str, Callable[[Path], Launcher]] = {
    "none": lambda root: Here(),
    "local": lambda root: LocalLauncher(1, quiet=True),
    "ray": lambda root: RayLauncher(root, 1, quiet=True),
}


class Timed:
    """A launcher that looks at the clocks whenever a job is over.

    Attributes:
        ends: Wall-clock seconds since the launch began, and processor seconds of all its processes, at each end.
    """

    def __init__(self, launcher: Launcher) -> None:
        """Set up.

        Args:
            launcher: What carries the jobs out.
        """
        self._launcher = launcher
        self.ends: list[tuple[float, float]] = []

    def work(
        self,
        jobs: Sequence[Job],
        on_end: Callable[[Ended], None],
        on_start: Callable[[Job], None] = lambda job: None,
        on_row: Callable[[Job, Row], None] = lambda job, row: None,
    ) -> None:
        """See `Launcher.work`."""
        began = time.perf_counter()

        def timed(over: Ended) -> None:
            self.ends.append((time.perf_counter() - began, _processor_seconds()))
            on_end(over)

        self._launcher.work(jobs, timed, on_start, on_row)


def measure(launcher: Launcher, runs: int, root: Path) -> Figures:
    """What a sweep costs.

    Args:
        launcher: What carries it out.
        runs: How many; two at least.
        root: An empty folder.

    Returns:
        Seconds until the first run is over (`start`), of each of the others (`run`), and of the processor for each of
        the others (`processor`).

    Raises:
        UsageError: a run failed.
    """
    timed = Timed(launcher)
    with one_thread():
        outcome = launch([make_run(ADDRESS, METHOD, seed) for seed in range(runs)], Store(root), launcher=timed)
    if outcome.failed:
        raise UsageError(f"a run failed: {outcome.failed[0].error}")
    (first, used_before), (last, used) = timed.ends[-runs], timed.ends[-1]
    others = runs - 1
    return {"start": first, "run": (last - first) / others, "processor": (used - used_before) / others}


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m accord.benchmark.performance.launchers", description="What launchers cost."
    )
    parser.add_argument("launchers", nargs="*", metavar="launcher", help=f"{', '.join(MADE)}; all by default.")
    parser.add_argument("--runs", type=int, default=40, help="Of the sweep, two at least.")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.launchers if name not in MADE]:
        parser.error(f"unknown launcher '{unknown[0]}'; allowed: {', '.join(MADE)}")
    if given.runs < 2:
        parser.error(f"--runs: {given.runs}; allowed: whole numbers from 2")
    replace_unprintable()
    table = Table(title=f"{given.runs} runs of '{METHOD}', one at a time", title_justify="left")
    for heading in ("launcher", "start s", "s/run", "processor s/run"):
        table.add_column(heading, justify="left" if heading == "launcher" else "right")
    for name in given.launchers or MADE:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(MADE[name](Path(folder)), given.runs, Path(folder))
        table.add_row(name, f"{found['start']:.1f}", f"{found['run']:.3f}", f"{found['processor']:.3f}")
    plain_console(width=None if sys.stdout.isatty() else 100).print(table)


def _processor_seconds() -> float:
    """Of this process and all that it started, those that are over included."""
    here = psutil.Process()
    total = 0.0
    for process in (here, *here.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])  # own and of children that were waited for
        except psutil.NoSuchProcess:  # ended meanwhile: it counts with whoever waited for it
            continue
    return total


if __name__ == "__main__":
    main()
