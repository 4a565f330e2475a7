"""Work in a folder that one process does at a time."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from accord.benchmark.records.files import write_file
from accord.envs.errors import UsageError

LOCKS = "locks"


@contextmanager
def alone_at(work: str, folder: Path) -> Iterator[None]:
    """While entered, no other process is at the same work in the same folder; a process that dies leaves it free.

    Args:
        work: What is done, like `suite core`.
        folder: Where; it is made if it is missing.

    Raises:
        UsageError: another process is at it; the line says which.
    """
    place = folder / LOCKS
    place.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(place / f"{work}.lock"), place / f"{work}.txt"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(f"{folder}/: {_said_by(holder)} is at work on {work}; wait until it is done") from None
    try:
        write_file(holder, _this_process().encode(errors="replace"))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _said_by(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except FileNotFoundError:  # it has only begun, or is about to end
        return "another process"


def _this_process() -> str:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    words = " ".join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])
    return f"process {os.getpid()} on {socket.gethostname()} ({words}, since {since})"
