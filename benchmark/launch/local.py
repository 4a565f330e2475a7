"""Launchers on one machine: a process per job, progress on the terminal, stoppable.

Each job lives in a process of its own, forked from a server that has the libraries loaded: a crash is an outcome,
memory figures are honest, and Ctrl-C loses at most the work since the last checkpoint.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from rich.console import Console

from accord.benchmark.launch.jobs import Ended, Job, Work, result_of
from accord.benchmark.launch.queue import Queue
from accord.benchmark.machine import one_thread
from accord.benchmark.places import Place, is_private

PRELOAD = ["__main__", "accord.benchmark.launch.start"]
GLANCE = 0.5  # seconds between looks at the clock and at Ctrl-C


@contextmanager
def same_path() -> Iterator[None]:
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
    result: dict[str, Any] = field(default_factory=dict)  # fields of `Ended`
    channel_open: bool = True


class LocalLauncher(Queue):
    """Processes on this machine; see `Launcher`."""

    def __init__(self, jobs: int | None = None, console: Console | None = None, *, quiet: bool = False) -> None:
        """Set up.

        Args:
            jobs: Processes at a time; None for one per core.
            console: Where progress is shown.
            quiet: Whoever launches says what ended: only the bars are drawn, and no line for logs.
        """
        super().__init__(jobs or os.cpu_count() or 1, console, quiet=quiet)
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._active: list[_Active] = []

    def _prepare(self) -> None:
        with same_path():
            forkserver.ensure_running()

    def _start(self, job: Job) -> bool:
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_carry_out, args=(job.work, dict(job.data), theirs), daemon=True)
        process.start()
        theirs.close()
        self._active.append(_Active(job, process, mine))
        return True

    def _wait(self) -> list[Ended]:
        """Handle messages until at least one process ends or says something."""
        channels = {active.channel: active for active in self._active if active.channel_open}
        sentinels = {active.process.sentinel: active for active in self._active}
        for ready in wait([*channels, *sentinels], timeout=GLANCE):
            if ready in channels:
                self._hear(channels[ready])
        if self._interrupted:
            return []
        return [self._close(active) for active in list(self._active) if not active.process.is_alive()]

    def _hear(self, active: _Active) -> None:
        try:
            while active.channel.poll():
                kind, said = active.channel.recv()
                if kind == "done":
                    self._heard(active.job, *said)
                else:
                    active.result = {kind: said}
        except EOFError:
            active.channel_open = False

    def _close(self, active: _Active) -> Ended:
        """Join a finished process."""
        if active.channel_open:
            self._hear(active)
        active.process.join()
        active.channel.close()
        self._active.remove(active)
        code = active.process.exitcode
        if code and "fault" not in active.result:
            how = f"signal {-code}" if code < 0 else str(code)
            active.result = {"fault": ("failed", f"the process ended with {how}")}
        return Ended(active.job, **active.result)

    def _stop(self) -> None:
        for active in self._active:
            active.process.terminate()
        for active in self._active:
            active.process.join()
        self._active.clear()


class Here(Queue):
    """One job after the other in this process, for a store that no other process sees; see `Launcher`."""

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        """Set up, see `LocalLauncher`."""
        super().__init__(1, console, quiet=quiet)
        self._given: list[Job] = []

    def _start(self, job: Job) -> bool:
        self._given.append(job)
        return True

    def _wait(self) -> list[Ended]:
        over = []
        while self._given:
            job = self._given.pop()
            with one_thread():
                what, said = result_of(job.work, job.data, partial(self._heard, job))
            over.append(Ended(job, **{what: said}))
        return over

    def _stop(self) -> None:
        self._given.clear()


def launcher_here(
    root: Place, jobs: int | None = None, console: Console | None = None, *, quiet: bool = False
) -> Queue:
    """What carries jobs out on this machine: processes, or this one alone where no other sees the store."""
    return Here(console, quiet=quiet) if is_private(root) else LocalLauncher(jobs, console, quiet=quiet)


def _carry_out(work: Work, data: Mapping[str, Any], channel: Connection) -> None:
    """A job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where the launcher was not in a main thread
    torch.set_num_threads(1)
    # A pipe that nobody reads any more: the launcher is gone, and with it the wish for an answer.
    with suppress(BrokenPipeError):
        channel.send(result_of(work, data, lambda done, row: channel.send(("done", (done, row)))))
        channel.close()
