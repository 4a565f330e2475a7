"""Many runs on one machine: a process per job, progress on the terminal, stoppable and resumable.

A job prepares a comparison (the linear programme), trains a policy, or carries out a run. Each lives in
a process of its own, forked from a server that has the libraries loaded: a crash is a row, memory figures
are honest, and Ctrl-C loses at most the work since the last checkpoint.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from accord.benchmark.launch.contexts import compared_on, prepare_context
from accord.benchmark.launch.runner import ended_badly, execute, how_it_ended, prepare_policy
from accord.benchmark.records.record import Record, Status
from accord.benchmark.records.store import Store, training_digest
from accord.benchmark.specs.suite import RunSpec

Kind = Literal["measured", "validation", "policy", "run"]
Fault = tuple[Status, str]
PRELOAD = ["__main__", "accord.benchmark.launch.local"]
GLANCE = 0.5  # seconds between looks at the clock and at Ctrl-C
PLAIN_LINE = 30.0  # seconds between lines where there is no terminal to draw bars on


@dataclass(frozen=True)
class Job:
    """One process's work; `needs` names the jobs that must end first."""

    name: str
    kind: Kind
    spec: RunSpec
    needs: tuple[str, ...] = ()


@dataclass
class _Active:
    job: Job
    process: Any
    channel: Connection
    bar: TaskID
    steps: float = 0.0
    fault: Fault | None = None
    channel_open: bool = True


@dataclass
class Outcome:
    """What a launch did.

    Attributes:
        records: One per run that was asked for, old and new, in the order asked.
        fresh: How many of them were carried out now.
    """

    records: list[Record] = field(default_factory=list)
    fresh: int = 0

    @property
    def failed(self) -> list[Record]:
        """Runs that did not end well."""
        return [record for record in self.records if record.status == "failed"]


def launch(
    specs: Sequence[RunSpec],
    store: Store,
    *,
    jobs: int | None = None,
    console: Console | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Outcome:
    """Carry out every run that the store does not hold yet; failed ones are tried again.

    Args:
        specs: Runs.
        store: Where they are kept.
        jobs: Processes at a time; None for one per core.
        console: Where progress is shown.
        on_record: Called with each finished record, in this process.

    Raises:
        OSError: the store's folder cannot be made.
        KeyboardInterrupt: after every process was stopped; what was finished or checkpointed stays.
    """
    store.root.mkdir(parents=True, exist_ok=True)
    missing = [spec for spec in specs if (record := store.load(spec)) is None or record.status == "failed"]
    queue = _plan(missing, store)
    if queue:
        _Launcher(store, jobs or os.cpu_count() or 1, console or Console(stderr=True), on_record).work(queue)
    records = [record for spec in specs if (record := store.load(spec)) is not None]
    return Outcome(records, len(missing))


def _plan(specs: Sequence[RunSpec], store: Store) -> list[Job]:
    """Jobs in order: comparisons and trainings that are missing, each once, then the runs."""
    first: dict[str, Job] = {}
    runs = []
    for spec in specs:
        needs = []
        for hours, scenario in compared_on(spec).items():
            if store.load_context(scenario) is None:
                name = f"{hours} {scenario.digest} {scenario.budget_name}"
                first.setdefault(name, Job(name, hours, spec))
                needs.append(name)
        policy = training_digest(spec)
        if policy and store.policy(policy).finished() is None:
            name = f"policy {policy}"
            first.setdefault(name, Job(name, "policy", spec))
            needs.append(name)
        runs.append(Job(f"run {spec.digest}", "run", spec, tuple(needs)))
    # Trainings are the longest: they start first.
    ahead = sorted(first.values(), key=lambda job: job.kind != "policy")
    return [*ahead, *runs]


class _Launcher:
    """The scheduling loop."""

    def __init__(self, store: Store, jobs: int, console: Console, on_record: Callable[[Record], None] | None) -> None:
        self._store, self._jobs, self._console, self._on_record = store, jobs, console, on_record
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._active: list[_Active] = []
        self._broken: dict[str, Fault] = {}
        self._interrupted = False
        self._next_line = time.monotonic() + PLAIN_LINE

    def work(self, queue: list[Job]) -> None:
        """Run every job; a failed preparation becomes the row of every run that needed it."""
        pending, unfinished = list(queue), {job.name for job in queue}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with self._interruptible(), Progress(*columns, console=self._console) as self._progress:
            total = self._progress.add_task("all jobs", total=len(queue))
            try:
                while pending or self._active:
                    self._start_ready(pending, unfinished)
                    records = []
                    for ended in self._wait():
                        unfinished.discard(ended.job.name)
                        records += self._close(ended)
                        self._progress.advance(total)
                    # What is done with a record may take a second: the free processes work meanwhile.
                    self._start_ready(pending, unfinished)
                    for record in records:
                        self._announce(record)
                    self._print_plainly(len(queue) - len(unfinished), len(queue))
            finally:
                self._stop()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C is seen between two jobs' affairs, where no process and no record is half known; twice is at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # The server and its children inherit this: the launcher decides what Ctrl-C means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        forkserver.ensure_running()
        for number in before:
            signal.signal(number, self._interrupt)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, *_: object) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _start_ready(self, pending: list[Job], unfinished: set[str]) -> None:
        for job in list(pending):
            if self._interrupted:
                raise KeyboardInterrupt
            if len(self._active) >= self._jobs:
                return
            if unfinished.isdisjoint(job.needs):
                pending.remove(job)
                self._start(job)

    def _start(self, job: Job) -> None:
        mine, theirs = self._context.Pipe(duplex=False)
        broken = next((self._broken[name] for name in job.needs if name in self._broken), None)
        words = (job.kind, job.spec.model_dump(mode="json"), str(self._store.root), broken, theirs)
        process = self._context.Process(target=_work, args=words, daemon=True)
        process.start()
        theirs.close()
        steps = job.spec.effort.steps if job.kind == "policy" and job.spec.effort else None
        bar = self._progress.add_task(f"  {_describe(job)}", total=steps)
        self._active.append(_Active(job, process, mine, bar))

    def _wait(self) -> list[_Active]:
        """Handle messages until at least one process ends or says something."""
        channels = {active.channel: active for active in self._active if active.channel_open}
        sentinels = {active.process.sentinel: active for active in self._active}
        for ready in wait([*channels, *sentinels], timeout=GLANCE):
            if ready in channels:
                self._hear(channels[ready])
        if self._interrupted:
            raise KeyboardInterrupt
        return [active for active in self._active if not active.process.is_alive()]

    def _hear(self, active: _Active) -> None:
        try:
            while active.channel.poll():
                kind, value = active.channel.recv()
                if kind == "steps":
                    active.steps = value
                    self._progress.update(active.bar, completed=value)
                else:
                    active.fault = value
        except EOFError:
            active.channel_open = False

    def _close(self, active: _Active) -> list[Record]:
        """Bury an ended process; the record that it left, if it was a run's."""
        if active.channel_open:
            self._hear(active)
        active.process.join()
        active.channel.close()
        self._active.remove(active)
        self._progress.remove_task(active.bar)
        job, code, fault = active.job, active.process.exitcode, active.fault
        if code and fault is None:
            how = f"signal {-code}" if code < 0 else str(code)
            fault = ("failed", f"the process ended with {how}")
        if job.kind != "run":
            if fault is not None:
                self._broken[job.name] = fault
            return []
        record = self._store.load(job.spec)
        if fault is not None or record is None:
            record = ended_badly(job.spec, *(fault or ("failed", "the process left no record")))
            self._store.save(record, {})
        return [record]

    def _announce(self, record: Record) -> None:
        if record.status != "done":
            text = f"{record.status}: {record.spec.label}: {record.error}"
            self._progress.console.print(text, markup=False, highlight=False, style="red", soft_wrap=True)
        if self._on_record is not None:
            self._on_record(record)

    def _print_plainly(self, ended: int, jobs: int) -> None:
        """A line every so often for logs, where bars cannot be drawn."""
        if self._console.is_terminal or time.monotonic() < self._next_line:
            return
        self._next_line = time.monotonic() + PLAIN_LINE
        now = [_describe(a.job) + (f" at {a.steps:,.0f} steps" if a.steps else "") for a in self._active]
        self._console.print(f"{ended} of {jobs} jobs; now {'; '.join(now)}", highlight=False, soft_wrap=True)

    def _stop(self) -> None:
        for active in self._active:
            active.process.terminate()
        for active in self._active:
            active.process.join()


def _work(kind: Kind, spec_fields: dict[str, Any], root: str, broken: Fault | None, channel: Connection) -> None:
    """A job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where the launcher was not in a main thread
    torch.set_num_threads(1)
    spec, store = RunSpec(**spec_fields), Store(Path(root))
    # A pipe that nobody reads any more: the launcher is gone, and with it the wish for an answer.
    with suppress(BrokenPipeError):
        try:
            if broken:
                channel.send(("fault", broken))
            elif kind in ("measured", "validation"):
                prepare_context(compared_on(spec)[kind], store)
            elif kind == "policy":
                prepare_policy(spec, store, lambda row: channel.send(("steps", row["steps"])))
            else:
                execute(spec, store)
        except BrokenPipeError:
            raise
        except Exception as fault:
            channel.send(("fault", how_it_ended(fault)))
        finally:
            channel.close()


def _describe(job: Job) -> str:
    if job.kind in ("measured", "validation"):
        return f"linear programme {job.spec.scenario}, {job.kind} hours"
    if job.kind == "policy":
        return f"train {job.spec.method} seed {job.spec.seed}"
    return job.spec.label
