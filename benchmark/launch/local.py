"""Launchers on one machine: a process per job, or the launching process for all of them.

`LocalLauncher` forks a process for each job from a server that has the libraries loaded: a crash is an outcome, memory
figures are honest, and Ctrl-C loses at most the work since the last checkpoint. `Here` works where no other process
sees the store: a crash of a job is one of the launch, and Ctrl-C waits until the job is over.
"""

from __future__ import annotations

import math
import multiprocessing as mp
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

import psutil
import torch
from rich.console import Console

from accord.benchmark.launch.jobs import Ended, Job, Room, Work, result_of, see_that_there_is_room
from accord.benchmark.launch.queue import Queue
from accord.benchmark.machine import GPUS, cores_allowed, one_thread, visible_gpus
from accord.benchmark.places import Place, is_private

PRELOAD = ["__main__", "accord.benchmark.launch.start"]
GLANCE = 0.5  # seconds between looks at the clock and at Ctrl-C
ROUNDING = 1e-9  # of shares of a GPU


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
    gpus: Sequence[str]  # that it has, or has a part of
    result: dict[str, Any] = field(default_factory=dict)  # fields of `Ended`
    channel_open: bool = True


class LocalLauncher(Queue):
    """Processes on this machine; see `Launcher`."""

    def __init__(
        self,
        jobs: int | None = None,
        console: Console | None = None,
        *,
        gpus: Sequence[int] | None = None,
        quiet: bool = False,
    ) -> None:
        """Set up.

        Args:
            jobs: Processes at a time, each of one core; None for one per core.
            console: Where progress is shown.
            gpus: Those that processes are given, by number; None for all.
            quiet: Whoever launches says what ended: only the bars are drawn, and no line for logs.
        """
        super().__init__(jobs or os.cpu_count() or 1, console, quiet=quiet)
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._active: list[_Active] = []
        here = visible_gpus()
        self._gpus = here if gpus is None else [here[number] for number in gpus]
        self._memory = psutil.virtual_memory().total

    @contextmanager
    def _open(self, jobs: Sequence[Job]) -> Iterator[None]:
        room = Room(max(cores_allowed(), 1), len(self._gpus), self._memory)
        see_that_there_is_room(jobs, [room], "this machine")
        yield

    def _has_room(self, job: Job) -> bool:
        active = [one.job.room for one in self._active]
        cpus, memory = (sum(getattr(room, name) for room in active) for name in ("cpus", "memory"))
        fits = cpus + job.room.cpus <= self._jobs and memory + job.room.memory <= self._memory
        return not active or (fits and self._free_gpus(job) is not None)

    def _free_gpus(self, job: Job) -> list[str] | None:
        """GPUs with room for a job, as many as it asks for; None where there are fewer."""
        wanted, part = math.ceil(job.room.gpus), min(job.room.gpus, 1.0)
        taken = dict.fromkeys(self._gpus, 0.0)
        for one in self._active:
            for gpu in one.gpus:
                taken[gpu] += min(one.job.room.gpus, 1.0)
        found = [gpu for gpu, share in taken.items() if share + part <= 1 + ROUNDING][:wanted]
        return found if len(found) == wanted else None

    def _prepare(self, jobs: Sequence[Job]) -> None:
        self._context.set_forkserver_preload([*PRELOAD, *sorted({module for job in jobs for module in job.loads})])
        with same_path():
            forkserver.ensure_running()

    def _start(self, job: Job) -> bool:
        gpus = self._free_gpus(job) or []
        mine, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_carry_out, args=(job.work, dict(job.data), theirs, gpus), daemon=True)
        process.start()
        theirs.close()
        self._active.append(_Active(job, process, mine, gpus))
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
        if not self._given:  # another launch is at what is left
            time.sleep(GLANCE)
        while self._given:
            job = self._given.pop()
            with one_thread():
                what, said = result_of(job.work, job.data, partial(self._heard, job))
            over.append(Ended(job, **{what: said}))
        return over

    def _stop(self) -> None:
        self._given.clear()


def launcher_here(
    root: Place,
    jobs: int | None = None,
    console: Console | None = None,
    *,
    gpus: Sequence[int] | None = None,
    quiet: bool = False,
) -> Queue:
    """What carries jobs out on this machine: processes, or this one alone where no other sees the store."""
    if is_private(root):
        return Here(console, quiet=quiet)
    return LocalLauncher(jobs, console, gpus=gpus, quiet=quiet)


def _carry_out(work: Work, data: Mapping[str, Any], channel: Connection, gpus: Sequence[str]) -> None:
    """A job's process; of the machine's GPUs it sees those that it was given."""
    if gpus:
        os.environ[GPUS] = ",".join(gpus)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where the launcher was not in a main thread
    torch.set_num_threads(1)
    # A pipe that nobody reads any more: the launcher is gone, and with it the wish for an answer.
    with suppress(BrokenPipeError):
        channel.send(result_of(work, data, lambda done, row: channel.send(("done", (done, row)))))
        channel.close()
