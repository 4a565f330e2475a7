"""Many runs on one machine: a process per job, progress on the terminal, stoppable and resumable.

A job prepares a comparison (the linear programme), trains a policy, or carries out a run. Each lives in
a process of its own, forked from a server that has the libraries loaded: a crash is a row, memory figures
are honest, and Ctrl-C loses at most the work since the last checkpoint.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmark.record import Record, provenance_here
from benchmark.runner import execute, prepare_context, prepare_policy
from benchmark.specs import RunSpec
from benchmark.store import Store, training_digest
from envs.catalogue import resolve

Kind = Literal["context", "policy", "run"]
PRELOAD = ["benchmark.runner"]


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
    error: str = ""
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
        KeyboardInterrupt: after every process was stopped; what was finished or checkpointed stays.
    """
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
        scenario = resolve(spec.scenario)
        needs = []
        if store.load_context(scenario) is None:
            name = f"context {scenario.district.digest} {scenario.budget_name}"
            first.setdefault(name, Job(name, "context", spec))
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

    def __init__(
        self, store: Store, jobs: int, console: Console, on_record: Callable[[Record], None] | None
    ) -> None:
        self._store, self._jobs, self._console, self._on_record = store, jobs, console, on_record
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._active: list[_Active] = []
        self._broken: dict[str, str] = {}

    def work(self, queue: list[Job]) -> None:
        """Run every job; a failed preparation becomes the row of every run that needed it."""
        pending, unfinished = list(queue), {job.name for job in queue}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as self._progress:
            total = self._progress.add_task("all jobs", total=len(queue))
            try:
                while pending or self._active:
                    self._start_ready(pending, unfinished)
                    for ended in self._wait():
                        unfinished.discard(ended.job.name)
                        self._close(ended)
                        self._progress.advance(total)
            except KeyboardInterrupt:
                self._stop()
                raise

    def _start_ready(self, pending: list[Job], unfinished: set[str]) -> None:
        for job in list(pending):
            if len(self._active) >= self._jobs:
                return
            if unfinished.isdisjoint(job.needs):
                pending.remove(job)
                self._start(job)

    def _start(self, job: Job) -> None:
        mine, theirs = self._context.Pipe(duplex=False)
        broken = next((self._broken[name] for name in job.needs if name in self._broken), "")
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
        for ready in wait([*channels, *sentinels]):
            if ready in channels:
                self._hear(channels[ready])
        return [active for active in self._active if not active.process.is_alive()]

    def _hear(self, active: _Active) -> None:
        try:
            while active.channel.poll():
                kind, value = active.channel.recv()
                if kind == "steps":
                    self._progress.update(active.bar, completed=value)
                else:
                    active.error = value
        except EOFError:
            active.channel_open = False

    def _close(self, active: _Active) -> None:
        if active.channel_open:
            self._hear(active)
        active.process.join()
        active.channel.close()
        self._active.remove(active)
        self._progress.remove_task(active.bar)
        job, code = active.job, active.process.exitcode
        if code and not active.error:
            active.error = (
                f"the process ended with signal {-code}" if code < 0 else f"the process ended with {code}"
            )
        if job.kind != "run":
            if active.error:
                self._broken[job.name] = active.error
            return
        record = self._store.load(job.spec)
        if active.error or record is None:
            record = Record(
                spec=job.spec,
                status="failed",
                error=active.error or "no record",
                provenance=provenance_here(),
            )
            self._store.save(record, {})
        if record.status == "failed":
            self._progress.console.print(
                f"failed: {job.spec.label}: {record.error}", markup=False, style="red"
            )
        if self._on_record is not None:
            self._on_record(record)

    def _stop(self) -> None:
        for active in self._active:
            active.process.terminate()
        for active in self._active:
            active.process.join()


def _work(kind: Kind, spec_fields: dict[str, Any], root: str, broken: str, channel: Connection) -> None:
    """A job's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher decides what Ctrl-C means
    torch.set_num_threads(1)
    spec, store = RunSpec(**spec_fields), Store(Path(root))
    try:
        if broken:
            channel.send(("error", broken))
        elif kind == "context":
            prepare_context(spec, store)
        elif kind == "policy":
            prepare_policy(spec, store, lambda row: channel.send(("steps", row["steps"])))
        else:
            execute(spec, store)
    except Exception as fault:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        text = " ".join(str(fault).split())
        channel.send(("error", f"{type(fault).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"))
    finally:
        channel.close()


def _describe(job: Job) -> str:
    if job.kind == "context":
        return f"linear programme {job.spec.scenario}"
    if job.kind == "policy":
        return f"train {job.spec.method} seed {job.spec.seed}"
    return job.spec.label
