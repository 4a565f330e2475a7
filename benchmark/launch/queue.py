"""The order of a launch, whatever carries its jobs out: what is ready begins, what ends is told, signals are heard."""

from __future__ import annotations

import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console

from accord.benchmark.launch.jobs import Ended, Fault, Job, Row
from accord.benchmark.launch.shown import Shown
from accord.benchmark.terminal import plain_console


class Queue(ABC):
    """A launcher (see `Launcher`) without the places where jobs are carried out."""

    def __init__(self, jobs: int, console: Console | None, *, quiet: bool) -> None:
        """Set up.

        Args:
            jobs: How many may have begun and not ended.
            console: Where progress is shown; standard error without.
            quiet: See `Shown`.
        """
        self.console = console or plain_console(stderr=True)
        self._jobs, self._shown = jobs, Shown(self.console, quiet=quiet)
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
        unfinished, self._running, self._interrupted = {job.name for job in jobs}, set[str](), 0
        self._elsewhere, self._done = set[str](), list[Ended]()
        with self._interruptible(jobs), self._shown.drawn(len(jobs)), self._open(jobs):
            try:
                while pending or self._running or self._done:
                    over = self._skip(pending, faults)
                    try:
                        self._start_ready(pending, unfinished, faults)
                        over += self._take_done()
                        if not (over or self._running or self._elsewhere):
                            raise ValueError(f"jobs that need each other: {', '.join(job.name for job in pending)}")
                        if not over:
                            over = self._put_back(self._wait(), pending)
                        if self._interrupted:
                            raise self._end()
                        for ended in over:
                            unfinished.discard(ended.job.name)
                            self._running.discard(ended.job.name)
                            if ended.fault is not None:
                                faults[ended.job.name] = ended.fault
                            self._shown.end(ended.job)
                        self._start_ready(pending, unfinished, faults)
                    finally:
                        # What is done with an outcome may take a second: the free processes work meanwhile.
                        for ended in over:
                            on_end(ended)
                    self._shown.say(len(self._elsewhere))
            finally:
                self._stop()

    @contextmanager
    def _open(self, jobs: Sequence[Job]) -> Iterator[None]:
        """While entered, jobs can be started.

        Raises:
            UsageError: one of them asks for more room than there is.
        """
        yield

    def _has_room(self, job: Job) -> bool:
        """It can be handed over now."""
        return True

    @abstractmethod
    def _start(self, job: Job) -> bool:
        """Hand a job over; whether it has begun, and not only waits for its turn."""

    @abstractmethod
    def _wait(self) -> list[Ended]:
        """Wait a moment, or until a job ends or says something; those that ended."""

    @abstractmethod
    def _stop(self) -> None:
        """End every job that has not ended."""

    def _begun(self, job: Job) -> None:
        """A job has begun."""
        self._shown.begin(job)
        self._on_start(job)

    def _heard(self, job: Job, done: float, row: Row) -> None:
        """A job has come so far and shows a row."""
        self._shown.step(job, done)
        self._on_row(job, row)

    @contextmanager
    def _interruptible(self, jobs: Sequence[Job]) -> Iterator[None]:
        """Handle SIGINT and SIGTERM between jobs only; a second one interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # Processes that begin now inherit this: the launcher decides what Ctrl-C means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._prepare(jobs)
        for number in before:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _prepare(self, jobs: Sequence[Job]) -> None:  # noqa: B027
        """Begin processes that are not to hear of Ctrl-C."""

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

    def _put_back(self, over: list[Ended], pending: list[Job]) -> list[Ended]:
        """Those that are over; the others, which another launch was faster to take, wait again."""
        for ended in over:
            if ended.elsewhere:
                self._running.discard(ended.job.name)
                self._shown.put_back(ended.job)
                pending.insert(0, ended.job)
        return [ended for ended in over if not ended.elsewhere]

    def _take_done(self) -> list[Ended]:
        """What another launch was found to have done since this was asked last."""
        found, self._done = self._done, []
        return found

    def _start_ready(self, pending: list[Job], unfinished: set[str], faults: Mapping[str, Fault]) -> None:
        """Start what needs nothing that is not done, as many as may be at work; what another launch has waits."""
        begun = list[Job]()
        self._elsewhere.clear()
        for job in list(pending):
            if self._interrupted:
                raise self._end()
            if len(self._running) >= self._jobs:
                break
            if not unfinished.isdisjoint(job.needs) or not faults.keys().isdisjoint(job.needs):
                continue
            if not self._has_room(job):
                continue
            state = job.look()
            if state == "taken":
                self._elsewhere.add(job.name)
                continue
            pending.remove(job)
            if state == "done":
                self._done.append(Ended(job))
                continue
            self._running.add(job.name)
            if self._start(job):
                begun.append(job)
        for job in begun:
            self._begun(job)
