"""The contract of a launcher: data in, an outcome out. Suites, searches and studies hand their work to one.

A job is a function of a module and data that JSON can hold, so that any kind of launcher (processes here, a cluster)
can carry it out. What it computes it keeps itself, atomically; what it returns is a few words or numbers.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from accord.benchmark.records.lease import TakenError
from accord.envs.errors import UsageError

Fault = tuple[Literal["failed", "out of time", "out of memory"], str]  # how it ended, and one line
Row = Mapping[str, float]  # numbers by name
Tell = Callable[[float, Row], None]  # how far a job is, in the unit of its `total`, and what it has to show
Work = Callable[[Mapping[str, Any], Tell], Any]
State = Literal["free", "taken", "done"]  # nobody's, of another launch that is at it, or done by one
TRAINING = ("torch._dynamo",)  # what a training loads: an optimiser's first step does, for two seconds
Result = tuple[Literal["value", "fault", "elsewhere"], Any]  # a field of `Ended`, and what it is


@dataclass(frozen=True)
class Room:
    """What a job asks for, or what a machine has.

    Attributes:
        cpus: Cores.
        gpus: GPUs, or the part of one that a job is content with.
        memory: Bytes.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0

    def __le__(self, other: Room) -> bool:
        """A machine with the room of `other` can carry it out."""
        return self.cpus <= other.cpus and self.gpus <= other.gpus and self.memory <= other.memory

    def __str__(self) -> str:
        return f"{self.cpus} CPUs, {self.gpus:g} GPUs and {self.memory / 1e9:.1f} GB"


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: Unique among the jobs of a launch.
        title: For people.
        work: A function at the top level of a module: data and `tell` in, an outcome that JSON can hold out.
        data: What it is given.
        needs: Names of the jobs that must end well first.
        total: What it counts up to, where it tells how far it is.
        room: What it asks of the machine that carries it out.
        seconds: The longest that it works, as far as that is limited; a cluster may end it some time later.
        loads: Modules that it loads as it goes on; a launcher may load them once for all.
        look: Asked in the launching process before it begins, and again as long as it is taken.
    """

    name: str
    title: str
    work: Work
    data: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    total: float | None = None
    room: Room = Room()
    seconds: float = 0.0
    loads: tuple[str, ...] = ()
    look: Callable[[], State] = lambda: "free"


@dataclass(frozen=True)
class Ended:
    """A job that is over.

    Attributes:
        job: Which one.
        value: What its function returned; None where another launch has done it.
        fault: How it ended where it did not end well; that of a job that it needed, where it never began.
        elsewhere: It is not over: another launch was faster to take it, and it waits.
    """

    job: Job
    value: Any = None
    fault: Fault | None = None
    elsewhere: bool = False


class Launcher(Protocol):
    """Carries jobs out, some at a time: each in a process of its own, or one by one in the launching one."""

    def work(
        self,
        jobs: Sequence[Job],
        on_end: Callable[[Ended], None],
        on_start: Callable[[Job], None] = lambda job: None,
        on_row: Callable[[Job, Row], None] = lambda job, row: None,
    ) -> None:
        """Carry every job out; the order is that of `jobs` where needs allow it.

        Args:
            jobs: What to do. A job whose needs fail is not begun; it ends with their fault.
            on_end: Called in this process with each job that is over.
            on_start: Called in this process with each job that begins.
            on_row: Called in this process, between the two, with what a job shows of itself.

        Raises:
            UsageError: a job asks for more than any machine has; nothing has begun.
            KeyboardInterrupt: after every process was stopped; what was finished or checkpointed stays.
            SystemExit: the same, where it was SIGTERM.
        """


def see_that_there_is_room(jobs: Iterable[Job], machines: Collection[Room], where: str) -> None:
    """Refuse what would wait for ever.

    Args:
        jobs: What is to be carried out.
        machines: What each of the machines has, or could have if nothing else ran there.
        where: What they are, for the message.

    Raises:
        UsageError: a job asks for more than any of them has.
    """
    for job in jobs:
        if not any(job.room <= machine for machine in machines):
            found = " or ".join(sorted({str(machine) for machine in machines})) or "nothing"
            why = "; GPUs are asked for by --device cuda" if job.room.gpus else ""
            raise UsageError(f"resources: '{job.title}' asks for {job.room}; {where} has {found}{why}")


def result_of(work: Work, data: Mapping[str, Any], tell: Tell) -> Result:
    """Carry a job out, in the process that it was given to."""
    try:
        return "value", work(data, tell)
    except TakenError:
        return "elsewhere", True
    except Exception as fault:
        return "fault", how_it_ended(fault)


def how_it_ended(fault: BaseException) -> Fault:
    """Status and one line for a job that an exception ended."""
    text = " ".join(str(fault).split()) or "no message"
    # On the CPU torch says with a plain RuntimeError that an allocation failed.
    if isinstance(fault, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return "out of memory", text
    if isinstance(fault, UsageError):
        return "failed", text
    last = traceback.extract_tb(fault.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in last)
    return "failed", f"{type(fault).__name__}: {text}{where}"
