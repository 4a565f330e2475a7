"""Does a process run what a module's file says? By when the file was last changed, and when the module was loaded."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

import psutil

TICK = 0.02  # seconds: the kernel counts in hundredths, and a process loads nothing in its first two


def runs(name: str, when: float, now: float) -> bool:
    """What this process runs of a module is what its file held after one of its changes.

    Args:
        name: The module's; of one that is not loaded it is what the file holds now.
        when: The time of that change.
        now: The time of the file's last change, which may be the same.
    """
    if name not in sys.modules:
        return when == now
    if name in _ASKED:
        first = last = _ASKED[name]
    elif getattr(sys.modules[name], "__file__", None) in _BEFORE:
        first, last = _BEGAN, _INSTALLED
    else:  # a worker runs the launching script without asking for it
        first, last = _start_of_process(), math.inf
    return when <= first and (when == now or last < now)


class _Clock(MetaPathFinder):
    """Finds nothing: Python asks it for each module right before the file is read, also when it is loaded anew."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        _ASKED[name] = time.time()


def _start_of_process() -> float:
    """When this process began or was forked, in seconds since the epoch."""
    try:
        ticks = float(
            Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):  # not Linux, where this is as exact
        return psutil.Process().create_time() + TICK
    return time.time() - age + TICK


_ASKED: dict[str, float] = {}  # when a module was last asked for, by its name
# The files of what was loaded before anything was asked for here, and between which times that was.
_BEGAN, _INSTALLED = _start_of_process(), time.time()
_BEFORE = {vars(module).get("__file__") for module in list(sys.modules.values()) if isinstance(module, ModuleType)}
sys.meta_path.insert(0, _Clock())
