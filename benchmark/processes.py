"""Which process does what, as others see it: those of this machine can be asked whether they still run."""

from __future__ import annotations

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

import psutil


@cache
def this_machine() -> tuple[str, ...]:
    """Where process numbers mean the same: the host since its last start, and the container and user on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        boot, space = str(psutil.boot_time()), ""
    return socket.gethostname(), boot, space, psutil.Process().username()


@cache
def machine_word() -> str:
    """The same in eight letters, for names of files."""
    return hashlib.sha256("\n".join(this_machine()).encode()).hexdigest()[:8]


def is_running(pid: int) -> bool:
    """A process of this machine runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
