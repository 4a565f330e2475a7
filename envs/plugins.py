"""What outside packages add: entry points, loaded so that a broken one costs a line and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

log = logging.getLogger("accord")


def loaded(group: str) -> Iterator[tuple[str, Any]]:
    """Name and object of every entry point of a group, in the order of names; a warning for one that does not load."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            found = point.load()
        except Exception as fault:
            why = " ".join(str(fault).split()) or type(fault).__name__
            refuse(group, point.name, f"{point.value} cannot be loaded: {why}")
        else:
            yield point.name, found


def refuse(group: str, name: str, why: str) -> None:
    """Warn that an entry point is passed over."""
    log.warning("entry point '%s' in %s is passed over: %s", name, group, why)
