"""Processes that share a store: launches of one suite, and what is written and read at once."""

import io
import multiprocessing as mp
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.records import record
from rich.console import Console

from accord.baselines.registry import METHODS
from accord.benchmark.launch import launch
from accord.benchmark.launch.jobs import Job
from accord.benchmark.launch.local import PRELOAD, LocalLauncher
from accord.benchmark.records import lease
from accord.benchmark.records.lease import Leases
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import Identity
from accord.benchmark.specs.run import RunSpec
from accord.envs.plugins import import_files

NOTING = Path(__file__).parent / "noting_methods.py"
CONTEXT = mp.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOAD)


@contextmanager
def noting(folder: Path) -> Iterator[Path]:
    """While entered, methods are known that note when they are carried out, here and in processes that begin.

    Yields:
        The file that they write to, a line each time.
    """
    before, notes = dict(METHODS), folder / "notes"
    notes.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(notes))
        patch.setenv("GO_ON", str(folder / "go-on"))
        import_files([NOTING])
        yield notes
    METHODS.clear()
    METHODS.update(before)
    del sys.modules[NOTING.stem]


class Forking(LocalLauncher):
    """Its jobs' processes are forked from the launching one, which has the libraries loaded."""

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs, Console(file=io.StringIO()))
        self._context = mp.get_context("fork")  # type: ignore[assignment]

    def _prepare(self, jobs: Sequence[Job]) -> None:
        pass


class Launching:
    """A process that launches, with a group of its own."""

    def __init__(self, specs: Sequence[RunSpec], root: Path, jobs: int = 2) -> None:
        self._mine, theirs = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_launch, args=(specs, root, jobs, dict(os.environ), theirs))
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def end(self) -> tuple[list[str], int]:
        """The status of each run, and how many were carried out by this launch."""
        said: tuple[list[str], int] = self._mine.recv()
        self.process.join()
        return said


def _launch(specs: Sequence[RunSpec], root: Path, jobs: int, environment: dict[str, str], said: Connection) -> None:
    os.setsid()
    os.environ |= environment
    torch.set_num_threads(1)
    import_files([NOTING])
    lease.GLANCE = 0.05
    outcome = launch(specs, Store(root), launcher=Forking(jobs), imports=[NOTING])
    said.send(([record.status for record in outcome.records], outcome.fresh))


class Side:
    """A process that calls a function with what it is given and a pipe to here."""

    def __init__(self, work: Callable[..., None], *given: Any) -> None:
        self.pipe, theirs = CONTEXT.Pipe()
        self.process: BaseProcess = CONTEXT.Process(target=work, args=(*given, theirs))
        self.process.start()
        theirs.close()


def take_and_say(folder: Path, name: str, pipe: Connection) -> None:
    """Take a lease, and keep it until something is heard."""
    with Leases(folder).hold(name):
        pipe.send(os.getpid())
        pipe.recv()


def count_up(folder: Path, times: int, pipe: Connection) -> None:
    """Add one to a number in a file, so often; two at once would lose some."""
    lease.GLANCE = 0.0
    leases, file = Leases(folder), folder / "count"
    for _ in range(times):
        with leases.hold("count", wait=True):
            file.write_text(str(int(file.read_text(encoding="utf-8")) + 1), encoding="utf-8")
    pipe.send(times)


def save_and_load(root: Path, process: int, times: int, pipe: Connection) -> None:
    """Save and load the same few runs in turn, so often, and say how often something was found that nobody saved."""
    store, strange = Store(root), 0
    for turn in range(times):
        # Those of other code take each other's place.
        identity = Identity(data="", network="", code=f"{process} {turn % 5}")
        made = record(seed=turn % 3).model_copy(update={"identity": identity})
        if turn % 2:
            store.save(made, {"district_import_kwh": np.full(50, float(process))})
            continue
        found, arrays = store.load(made.spec), store.traces(made.spec)
        strange += found is not None and found.spec != made.spec
        strange += any(len(set(values.tolist())) > 1 for values in arrays.values())
        if turn % 50 == 0:
            store.mark_tracked(made.spec)
            strange += len(store.records()) > 3
    pipe.send(strange)
