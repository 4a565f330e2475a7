"""A small sweep in processes of its own, what may happen to them, and whether a plain rerun makes it good."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from helpers.records import numbers
from helpers.sharing import Forking, Side
from rich.console import Console

from accord.benchmark.launch import launch
from accord.benchmark.launch.local import Here
from accord.benchmark.records.store import LEASES, Store
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run
from accord.envs.errors import UsageError

DISTRICT = "synthetic_7-week/ring/average-0.4"
SETTINGS = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}
EFFORT = EffortSpec(steps=800, seconds=3_600, snapshots=2)
# Events of the interpreter that change files, and which of their arguments are paths.
CHANGES = {"os.mkdir": 1, "os.rename": 2, "os.remove": 1, "os.rmdir": 1, "os.chmod": 1, "os.truncate": 1, "os.link": 2}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def sweep() -> list[RunSpec]:
    """A game without learning, an optimum, a rule, and a training with snapshots that two runs share."""
    trained: dict[str, Any] = {"settings": SETTINGS, "effort": EFFORT, "trained_on": DISTRICT}
    return [
        make_run("games/two_step", "random", 0),
        make_run(DISTRICT, "oracle", 0),
        make_run(DISTRICT, "serve_now", 0),
        make_run(DISTRICT, "consensus-gossip", 0, **trained),
        make_run(DISTRICT.replace("ring", "star"), "consensus-gossip", 0, **trained),
    ]


@dataclass(frozen=True)
class Ending:
    """How a launch ended: the statuses of its runs, or the line of what stopped it; and its changes of files."""

    statuses: Sequence[str] = ()
    line: str = ""
    changes: int = 0


class Changes:
    """Counts the changes of files under a folder, and does something at one of them."""

    def __init__(self, folder: Path, at: int = 0, what: Callable[[str], None] = lambda path: None) -> None:
        self.count, self._folder, self._at, self._what = 0, str(folder), at, what
        sys.addaudithook(self._hear)

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            paths = given[:1] if isinstance(given[2], int) and given[2] & WRITING else ()
        else:
            paths = given[: CHANGES.get(event, 0)]
        for path in paths:
            if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self._folder):
                self.count += 1
                if self.count == self._at:
                    self._what(os.fspath(path))
                return


def refuse(number: int) -> Callable[[str], None]:
    """The disk refuses a change."""

    def do(path: str) -> None:
        raise OSError(number, os.strerror(number), path)

    return do


def die(path: str) -> None:
    """The process is gone."""
    os.kill(os.getpid(), signal.SIGKILL)


HAPPENINGS: dict[str, Callable[[str], None]] = {
    "killed": die,
    "full": refuse(errno.ENOSPC),
    "broken": refuse(errno.EIO),
}


def one_by_one(root: Path, at: int, what: str, pipe: Connection) -> None:
    """Carry the sweep out in this process, with something that happens at one change of a file."""
    changes = Changes(root, at, HAPPENINGS.get(what, lambda path: None))
    pipe.send(_ending(root, Here(Console(file=io.StringIO())), changes))


def side_by_side(root: Path, pipe: Connection) -> None:
    """Carry the sweep out in two processes of this one's group."""
    os.setsid()
    pipe.send(os.getpid())
    pipe.send(_ending(root, Forking(2), None))


def _ending(root: Path, launcher: Any, changes: Changes | None) -> Ending:
    statuses, line = list[str](), ""
    try:
        statuses = [record.status for record in launch(sweep(), Store(root), launcher=launcher).records]
    except (UsageError, OSError) as stopped:  # what the command line makes one line of
        line = str(stopped)
    return Ending(statuses, line, changes.count if changes else 0)


def told(side: Side) -> Any:
    """What a process says; None where it is gone."""
    try:
        said = side.pipe.recv()
    except EOFError:
        said = None
    return said


def made_good(root: Path) -> dict[str, object]:
    """All that a store's runs measured, after one plain rerun.

    Raises:
        AssertionError: a run is not done, or something lies about that belongs to no run.
    """
    side = Side(one_by_one, root, 0, "")
    ending = told(side)
    side.process.join()
    specs, store = sweep(), Store(root)
    assert ending is not None
    assert list(ending.statuses) == ["done"] * len(specs), ending.line
    assert [path for path in root.rglob("*") if path.name.startswith(".") or path.parent.name == LEASES] == []
    records = {spec.label: store.load(spec) for spec in specs}
    assert len(store.records()) == len(specs)
    return {label: numbers(record, store) for label, record in records.items() if record is not None}
