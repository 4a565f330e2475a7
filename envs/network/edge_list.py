"""Graphs from files of edges, as people and graph tools write them.

    # comments begin with # or %
    0 1
    0,2
    1;2;0.5                 a weight, which says no more than that the link is there
    2 3 {'weight': 0.5}     what networkx writes
    Source,Target,Weight    a header, whose columns are found by their names

Cells are separated by commas, semicolons, tabs or blanks. Ids count from 0.
"""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Sequence
from os.path import exists, isfile  # which are False where a name is too long to be one
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accord.envs.errors import UsageError

SEPARATORS = ",;\t"  # where none of them is, blanks separate
ENDS = (("source", "target"), ("from", "to"), ("u", "v"), ("node1", "node2"))  # names in a header
WEIGHT = "weight"
WEIGHTS = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
QUOTED = re.compile(r"^([\"'])(.*)\1$")
FIRST_TWO = (0, 1, 2)  # columns of the ends and the weight without a header
ALLOWED = "allowed: two node ids, as 0,1 or 0 1, and a weight if there is one; above them a header source,target"


def read_edges(path: Path, n_agents: int) -> NDArray[np.int64]:
    """The edges of a file, [E, 2], lower id first.

    Args:
        path: The file.
        n_agents: Number of nodes; every one must have an edge.

    Raises:
        UsageError: the file cannot be read, or a line is no edge between two of the nodes, or repeats one.
    """
    try:
        if exists(path) and not isfile(path):  # a device may have no end
            raise OSError(errno.EINVAL, "no file")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(
            f"topology: cannot read edge list {path} ({reason}); allowed: edges:FILE with an edge a line"
        ) from error
    line_of: dict[tuple[int, int], int] = {}
    columns: Sequence[int] | None = None
    for number, line in enumerate(lines, start=1):
        text = re.split("[#%]", line)[0].strip()
        if not text:
            continue
        cells = _cells(text)
        if columns is None:
            columns = _named(cells)
            if columns is not None:
                continue
            columns = FIRST_TWO
        low, high = sorted(_ends(f"{path}:{number}", text, cells, columns))
        if high >= n_agents:
            raise UsageError(
                f"{path}:{number}: node id {high} is out of range; the task has {n_agents} agents; "
                f"allowed: 0 to {n_agents - 1}"
            )
        if low == high:
            raise UsageError(f"{path}:{number}: {text} is a self-loop; allowed: edges between two agents")
        if (low, high) in line_of:
            raise UsageError(
                f"{path}:{number}: edge {low}-{high} repeats line {line_of[low, high]}; allowed: each edge once"
            )
        line_of[low, high] = number
    pairs = np.array(list(line_of), dtype=np.int64).reshape(-1, 2)
    absent = np.setdiff1d(np.arange(n_agents), pairs)
    if n_agents > 1 and len(absent):
        raise UsageError(
            f"edge list {path}: no edge for {len(absent)} of the task's {n_agents} agents, the first is "
            f"{absent[0]}; allowed: a connected graph over the ids 0 to {n_agents - 1}"
        )
    return pairs


def _cells(text: str) -> list[str]:
    """The cells of a line, without the dictionary that networkx writes behind the ids."""
    text = text.partition("{")[0].strip(f" {SEPARATORS}")
    separator = next((sign for sign in SEPARATORS if sign in text), None)
    return [QUOTED.sub(r"\2", cell.strip()) for cell in text.split(separator)]


def _named(cells: Sequence[str]) -> list[int] | None:
    """The columns of the two ends and of the weight, if there is one; None where the cells are no header."""
    names = [cell.lower() for cell in cells]
    for ends in ENDS:
        if set(ends) <= set(names):
            return [names.index(name) for name in (*ends, WEIGHT) if name in names]
    return None


def _ends(where: str, text: str, cells: Sequence[str], columns: Sequence[int]) -> list[int]:
    """The two ids of a line; a weight beside them is checked, no more: links have none."""
    first, second, *weight = columns
    longest = len(FIRST_TWO) if columns is FIRST_TWO else len(cells)
    ids = [cells[column] for column in (first, second) if column < len(cells)]
    if len(ids) < 2 or len(cells) > longest or not all(re.fullmatch("[0-9]{1,18}", cell) for cell in ids):
        raise UsageError(f"{where}: '{text}' is no edge; {ALLOWED}")
    for cell in (cells[column] for column in weight if column < len(cells)):
        if not WEIGHTS.fullmatch(cell) or not 0 < float(cell) < math.inf:
            raise UsageError(f"{where}: the weight of '{text}' is '{cell}'; allowed: numbers above 0, no link without")
    return [int(cell) for cell in ids]
