"""A launcher on one machine: a process per job, progress on the terminal, stoppable.

Each job lives in a process of its own, forked from a server that has the libraries loaded: a crash is an outcome,
memory figures are honest, and Ctrl-C loses at most the work since the last checkpoint.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from accord.benchmark.launch.jobs import Ended, Fault, Job, Row, Work, how_it_ended
from accord.benchmark.terminal import plain_console

PRELOAD = ["__main__", "accord.benchmark.launch.start"]
GLANCE = 0.5  # seconds between looks at the clock and at Ctrl-C
PLAIN_LINE = 30.0  # seconds between lines where there is no terminal to draw bars on


@contextmanager
def _same_path() -> Iterator[None]:
    """Processes that begin here import from where this one does, and from the current folder only if it does.

    Python would put the current folder first, where a file may have the name of a package.
    """
    kept = {name: os.environ.get(name) for name in ("PYTHONSAFEPATH", "PYTHONPATH")}
    os.environ |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        yield
    finally:
        for name, value in kept.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@dataclass
class _Active:
    job: Job
    process: Any
    channel: Connection
    bar: TaskID
    done: float = 0.0
    value: Any = None
    fault: Fault | None = None
    channel_open: bool = True


class LocalLauncher:
    """Processes on this machine; see `Launcher`."""

    def __init__(self, jobs: int | None = None, console: Console | None = None, *, quiet: bool = False) -> None:
        """Set up.

        Args:
            jobs: Processes at a time; None for one per core.
            console: Where progress is shown.
            quiet: Whoever launches says what ended: only the bars are drawn, and no line for logs.
        """
        self.console = console or plain_console(stderr=True)
        self._jobs, self._quiet = jobs or os.cpu_count() or 1, quiet
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._active: list[_Active] = []
        self._interrupted = 0  # by which signal

    def work(
        self,
        jobs: Sequence[Job],
        on_end: Callable[[Ended], None],
        on_start: Callable[[Job], None] = lambda job: None,
        on_row: Callable[[Job, Row], None] = lambda job, row: None,
    ) -> None:
        """See `Launcher.work`."""
        self._on_start, self._on_row = on_start, on_row
        pending, faults = list(jobs), dict[str, Fault]()
        unfinished = {job.name for job in jobs}
        self._interrupted, self._next_line = 0, time.monotonic() + PLAIN_LINE
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with self._interruptible(), Progress(*columns, console=self.console) as self._progress:
            total = self._progress.add_task("all jobs", total=len(jobs))
            try:
                while pending or self._active:
                    over = self._skip(pending, faults)
                    try:
                        self._start_ready(pending, unfinished, faults)
                        if not (over or self._active):
                            raise ValueError(f"jobs that need each other: {', '.join(job.name for job in pending)}")
                        over += [self._close(ended) for ended in self._wait()] if self._active else []
                        for ended in over:
                            unfinished.discard(ended.job.name)
                            if ended.fault is not None:
                                faults[ended.job.name] = ended.fault
                            self._progress.advance(total)
                        self._start_ready(pending, unfinished, faults)
                    finally:
                        # What is done with an outcome may take a second: the free processes work meanwhile.
                        for ended in over:
                            on_end(ended)
                    self._print_plainly(len(jobs) - len(unfinished), len(jobs))
            finally:
                self._stop()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM between jobs only; a second one interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # The server and its children inherit this: the launcher decides what Ctrl-C means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with _same_path():
            forkserver.ensure_running()
        for number in before:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, _: object) -> None:
        if self._interrupted:
            raise self._end()
        self._interrupted = number

    def _end(self) -> BaseException:
        """What the signal that was heard ends the process with."""
        return KeyboardInterrupt() if self._interrupted == signal.SIGINT else SystemExit(128 + self._interrupted)

    def _skip(self, pending: list[Job], faults: Mapping[str, Fault]) -> list[Ended]:
        """Jobs that cannot begin since one that they need failed; they leave the queue."""
        over = []
        for job in list(pending):
            fault = next((faults[name] for name in job.needs if name in faults), None)
            if fault is not None:
                pending.remove(job)
                over.append(Ended(job, fault=fault))
        return over

    def _start_ready(self, pending: list[Job], unfinished: set[str], faults: Mapping[str, Fault]) -> None:
        started = list[Job]()
        for job in list(pending):
            if self._interrupted:
                raise self._end()
            if len(self._active) >= self._jobs:
                break
            if unfinished.isdisjoint(job.needs) and faults.keys().isdisjoint(job.needs):
                pending.remove(job)
                self._start(job)
                started.append(job)
        for job in started:
            self._on_start(job)

    def _start(self, job: Job) -> None:
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_carry_out, args=(job.work, dict(job.data), theirs), daemon=True)
        process.start()
        theirs.close()
        bar = self._progress.add_task(f"  {job.title}", total=job.total)
        self._active.append(_Active(job, process, mine, bar))

    def _wait(self) -> list[_Active]:
        """Handle messages until at least one process ends or says something."""
        channels = {active.channel: active for active in self._active if active.channel_open}
        sentinels = {active.process.sentinel: active for active in self._active}
        for ready in wait([*channels, *sentinels], timeout=GLANCE):
            if ready in channels:
                self._hear(channels[ready])
        if self._interrupted:
            raise self._end()
        return [active for active in self._active if not active.process.is_alive()]

    def _hear(self, active: _Active) -> None:
        try:
            while active.channel.poll():
                kind, said = active.channel.recv()
                if kind == "done":
                    active.done, row = said
                    self._progress.update(active.bar, completed=active.done)
                    self._on_row(active.job, row)
                elif kind == "value":
                    active.value = said
                else:
                    active.fault = said
        except EOFError:
            active.channel_open = False

    def _close(self, active: _Active) -> Ended:
        """Join a finished process."""
        if active.channel_open:
            self._hear(active)
        active.process.join()
        active.channel.close()
        self._active.remove(active)
        self._progress.remove_task(active.bar)
        code, fault = active.process.exitcode, active.fault
        if code and fault is None:
            how = f"signal {-code}" if code < 0 else str(code)
            fault = ("failed", f"the process ended with {how}")
        return Ended(active.job, active.value, fault)

    def _print_plainly(self, ended: int, jobs: int) -> None:
        """A line every so often for logs, where bars cannot be drawn."""
        if self._quiet or self.console.is_terminal or time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + PLAIN_LINE
        now = [a.job.title + (f" at {a.done:,.0f} steps" if a.done else "") for a in self._active]
        text = f"{ended} of {jobs} jobs; now {'; '.join(now)}"
        self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def _stop(self) -> None:
        for active in self._active:
            active.process.terminate()
        for active in self._active:
            active.process.join()
        self._active.clear()


def _carry_out(work: Work, data: Mapping[str, Any], channel: Connection) -> None:
    """A job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where the launcher was not in a main thread
    torch.set_num_threads(1)
    # A pipe that nobody reads any more: the launcher is gone, and with it the wish for an answer.
    with suppress(BrokenPipeError):
        try:
            channel.send(("value", work(data, lambda done, row: channel.send(("done", (done, row))))))
        except BrokenPipeError:
            raise
        except Exception as fault:
            channel.send(("fault", how_it_ended(fault)))
        finally:
            channel.close()
