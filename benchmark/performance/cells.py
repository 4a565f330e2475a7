"""Measurements in processes of their own, so that memory is honest and a crash is a row; finished ones are kept.

A cell's process is `python -m MODULE SPEC`, see `main_of`: it prints a line of JSON whenever a part is over, so that
what was measured before a limit is not lost.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import IO, Any, TypeVar

import psutil
from pydantic import BaseModel, ValidationError

from accord.baselines.registry import make_method, nest
from accord.benchmark.launch.runner import how_it_ended
from accord.benchmark.places import Place
from accord.benchmark.records.files import write_file
from accord.benchmark.records.provenance import digest_of_sources, provenance_here
from accord.benchmark.records.sealed import open_kept, seal_json
from accord.benchmark.specs.run import digest_of
from accord.benchmark.specs.yaml_file import read_model
from accord.envs.errors import UsageError

MEBIBYTE, GIBIBYTE = 2**20, 2**30
LEAST_SHARE = 0.9  # of a core's time; with less, something else ran
LOOKS = 0.05  # seconds between two looks at a cell's memory
SETUP = 1800.0  # seconds for data, graph and level of the budget, which no method is charged for
MISTAKE = 2  # exit status of what a user got wrong
Row = dict[str, Any]
Numbers = dict[str, Any]
S = TypeVar("S", bound=BaseModel)
Tell = Callable[[str, Numbers], None]


def measured(module: str, cell: BaseModel, seconds: float, memory_gib: float, folder: Place) -> tuple[Row, bool]:
    """The row of a cell, from `folder` where it is there, and whether it had to be measured.

    Args:
        module: Whose `main` measures it.
        cell: What is measured.
        seconds: Limit, setup left out.
        memory_gib: Limit of what the process holds.
        folder: Where finished cells are kept.

    Returns:
        A row with `status` (done, out of time, out of memory, failed, or what the cell says), the machine and the
        numbers that the cell told. Of one that was stopped `stopped_in`, `resident` (MiB of its process) and
        `stopped_busy` (processor time over wall-clock time). One that had no core to itself is not kept.

    Raises:
        UsageError: a user's mistake ended the cell.
    """
    limits = {"seconds": seconds, "memory_gib": memory_gib}
    what = {"cell": cell.model_dump(mode="json"), "limits": limits, "code": digest_of_sources()}
    path = folder / f"{digest_of(what)}.json"
    kept = open_kept(path, what, "the cell is measured again")
    if kept is not None:
        return kept["row"], False
    row = _watched(module, cell, seconds, memory_gib * GIBIBYTE)
    if row["status"] != "failed" and busy(row) >= LEAST_SHARE:  # what failed or was held up may not be the next time
        write_file(path, seal_json({**what, "row": row}))
    return row, True


def load_suite(model: type[S], file: str) -> S:
    """A suite of cells that comes with Accord; its `lines` name methods and their settings.

    Raises:
        UsageError: its file has an unknown key, a wrong value or a setting that a method does not have.
    """
    suite = read_model(Path(str(resources.files("accord.benchmark.performance") / file)), model)
    for line in suite.lines.values():  # type: ignore[attr-defined]
        make_method(line.method, nest(line.settings))
    return suite


def busy(row: Row) -> float:
    """The least share of a core that a cell had to itself in any of its parts."""
    return min((value for name, value in row.items() if name.endswith("busy")), default=1.0)


def main_of(cell_type: type[BaseModel], measure: Callable[[Any, Tell], None]) -> None:
    """The whole of a cell's process: measure what the command line says.

    `measure` tells what comes next, and the numbers of what is over. What a user got wrong is one line on standard
    error; any other end is said in a line of JSON.
    """

    def tell(now: str, numbers: Numbers) -> None:
        print(json.dumps({"now": now, **numbers}), flush=True)

    try:
        here = provenance_here()
        machine = {"git_revision": here.git_revision, "cpu": here.cpu, "cores": here.cores, "gpu": here.gpu}
        cell = cell_type.model_validate_json(sys.argv[1])
        tell("setup", machine | {"torch": here.packages["torch"]})
        measure(cell, tell)
    except (UsageError, ValidationError) as mistake:
        print(mistake, file=sys.stderr)
        sys.exit(MISTAKE)
    except Exception as fault:
        status, error = how_it_ended(fault)
        print(json.dumps({"status": status, "error": error}), flush=True)


@dataclass
class _Heard:
    """What a cell's process has said so far.

    Attributes:
        now: What it is at; empty once everything is told.
        numbers: Of what is over.
        workers: Processes of its own that it has work.
        ready: When it had its data.
    """

    now: str = "setup"
    numbers: Row = field(default_factory=dict)
    workers: list[int] = field(default_factory=list)
    ready: float | None = None

    def listen(self, stream: IO[str]) -> None:
        """Read lines until the process ends; what is no JSON was printed by somebody else."""
        for line in stream:
            with suppress(json.JSONDecodeError):
                said = json.loads(line)
                self.now, self.workers = said.pop("now", self.now), said.pop("workers", self.workers)
                self.numbers |= said
                if self.now != "setup":
                    self.ready = self.ready or time.perf_counter()


def _watched(module: str, cell: BaseModel, seconds: float, memory: float) -> Row:
    """Run a cell in a process of its own, and end it at a limit."""
    command = [sys.executable, "-P", "-m", module, cell.model_dump_json()]
    heard, faults = _Heard(), list[str]()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ears = [
            threading.Thread(target=heard.listen, args=[process.stdout]),
            threading.Thread(target=faults.extend, args=[process.stderr]),
        ]
        for ear in ears:
            ear.start()
        try:
            stopped, peak, share = _wait(process, heard, seconds, memory)
        finally:
            process.kill()
            process.wait()
            for ear in ears:
                ear.join()
    said = faults[-1].strip() if faults else f"ended with {process.returncode}"
    if not stopped and process.returncode == MISTAKE:
        raise UsageError(said)
    row = {"status": "done", **heard.numbers}
    if stopped and heard.now:
        row["status"] = stopped
    elif process.returncode and not stopped:
        # The system kills what it has no memory for.
        row |= {"status": "out of memory" if process.returncode == -signal.SIGKILL else "failed", "error": said}
    if heard.now:
        row |= {"stopped_in": heard.now, "resident": peak / MEBIBYTE}
    if stopped and heard.now and heard.now != "setup":
        row["stopped_busy"] = share
    return row


def _wait(process: subprocess.Popen[str], heard: _Heard, seconds: float, memory: float) -> tuple[str, int, float]:
    """Until the process ends or must.

    Returns:
        The limit that it ran into, if any, the most bytes that it and its workers held, and their processor time over
        wall-clock time since it was set up.
    """
    began, peak, used, ready = time.perf_counter(), 0, 0.0, 0.0
    while process.poll() is None:
        time.sleep(LOOKS)
        now = time.perf_counter()
        with suppress(psutil.NoSuchProcess):
            inside = [psutil.Process(pid) for pid in (process.pid, *heard.workers)]
            peak = max(peak, sum(one.memory_info().rss for one in inside))
            used = sum(times.user + times.system for times in (one.cpu_times() for one in inside))
        if heard.ready is None:
            ready = used
        share = (used - ready) / (now - (heard.ready or began))
        if peak > memory:
            return "out of memory", peak, share
        if now - (heard.ready or now) > seconds or (heard.ready is None and now - began > SETUP):
            return "out of time", peak, share
    return "", peak, 1.0
