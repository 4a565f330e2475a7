"""How a launch shows how far it is: bars on a terminal, a line every so often in a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from accord.benchmark.launch.jobs import Job

PLAIN_LINE = 30.0  # seconds between lines where there is no terminal to draw bars on


@dataclass
class _Begun:
    job: Job
    bar: TaskID
    done: float = 0.0


class Shown:
    """Jobs by name, from their beginning to their end."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        """Set up.

        Args:
            console: Where.
            quiet: Whoever launches says what ended: only the bars are drawn, and no line for logs.
        """
        self.console, self._quiet = console, quiet
        self._begun = dict[str, _Begun]()

    @contextmanager
    def drawn(self, total: int) -> Iterator[None]:
        """While entered, bars are drawn of so many jobs."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._next_line, self._begun, self._over = time.monotonic() + PLAIN_LINE, {}, 0
        with Progress(*columns, console=self.console) as self._progress:
            self._total, self._jobs = self._progress.add_task("all jobs", total=total), total
            yield

    def begin(self, job: Job) -> None:
        """A job begins."""
        self._begun[job.name] = _Begun(job, self._progress.add_task(f"  {job.title}", total=job.total))

    def step(self, job: Job, done: float) -> None:
        """A job has come so far."""
        self._begun[job.name].done = done
        self._progress.update(self._begun[job.name].bar, completed=done)

    def end(self, job: Job) -> None:
        """A job is over, begun or not."""
        self.put_back(job)
        self._over += 1
        self._progress.advance(self._total)

    def put_back(self, job: Job) -> None:
        """A job waits again."""
        if (begun := self._begun.pop(job.name, None)) is not None:
            self._progress.remove_task(begun.bar)

    def say(self, elsewhere: int) -> None:
        """A line, where bars cannot be drawn and the last line is some time ago.

        Args:
            elsewhere: Jobs that wait since another launch is at them.
        """
        others = f", {elsewhere} at another launch" if elsewhere else ""
        self._progress.update(self._total, description=f"all jobs{others}")
        if self._quiet or self.console.is_terminal or time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + PLAIN_LINE
        now = [one.job.title + (f" at {one.done:,.0f} steps" if one.done else "") for one in self._begun.values()]
        text = f"{self._over} of {self._jobs} jobs{others}; now {'; '.join(now) or 'waiting'}"
        self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
