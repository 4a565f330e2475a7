"""Columns of numbers in a CSV file, by any of the names that they may have.

A name counts however it is capitalised, with blanks around it and with its unit in () or []. Rows in error messages
count from 1, the first row under the header.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile  # which is False where a name is too long to be one
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from accord.envs.errors import UsageError, quoted

BRACKETS = str.maketrans("()", "[]")
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
LARGEST = 1e9  # of any figure: a terawatt-hour in an hour is a slip of the unit
SHOWN = 20  # names of columns in a message, at most


@dataclass(frozen=True, eq=False)
class Column:
    """A numeric column [T] with the file and label it came from."""

    path: Path
    label: str
    values: npt.NDArray[np.float64]

    def reject(self, wrong: npt.NDArray[np.bool_], problem: str) -> None:
        """Raise a UsageError that names the first row where `wrong` [T] holds, if there is one."""
        if wrong.any():
            row = int(np.argmax(wrong))
            raise _row_error(self.path, self.label, row, f"{self.values[row]:g} {problem}")


def read_columns(path: Path, names: Mapping[str, Sequence[str]]) -> dict[str, Column]:
    """The columns of a CSV file that hold some quantities.

    Args:
        path: The file, with a header and commas between columns.
        names: The names that the column of each quantity may have.

    Raises:
        UsageError: the file is missing or unreadable, a column is missing or there twice, or a cell is not a finite
            number.
    """
    if not isfile(path):
        raise UsageError(f"{path}: no such file, though schema.json names it")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, None)
            if not header:
                raise UsageError(f"{path}: not a readable CSV file: its first line is empty; allowed: names of columns")
            places = {quantity: _place(path, header, quantity, accepted) for quantity, accepted in names.items()}
            _check_widths(path, len(header), lines)
        # As text, so that each figure is parsed exactly and a wrong one can be quoted.
        text = pd.read_csv(path, usecols=sorted(places.values()), dtype=str, index_col=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a readable CSV file: {' '.join(str(error).split())}") from None
    order = sorted(places.values())
    cells = {quantity: text.iloc[:, order.index(place)].to_numpy(dtype=object) for quantity, place in places.items()}
    labels = {quantity: header[place] for quantity, place in places.items()}
    return {
        quantity: Column(path, labels[quantity], _numbers(path, labels[quantity], cells[quantity]))
        for quantity in names
    }


def _place(path: Path, header: Sequence[str], quantity: str, accepted: Sequence[str]) -> int:
    """The number of the column of a quantity."""
    for name in accepted:
        places = [place for place, label in enumerate(header) if _plain(label) == _plain(name)]
        if len(places) > 1:
            found = " and ".join(repr(header[place]) for place in places)
            raise UsageError(f"{path}: {len(places)} columns for the {quantity}: {found}; allowed: one")
        if places:
            return places[0]
    wanted = " or ".join(repr(name) for name in accepted)
    problem = f"{path}: no column for the {quantity}; it must be named {wanted}"
    if len(header) == 1:
        for separator, word in OTHER_SEPARATORS.items():
            if separator in header[0]:
                raise UsageError(f"{problem}; columns are separated by {word} here and must be separated by commas")
    more = f" and {len(header) - SHOWN} more" if len(header) > SHOWN else ""
    raise UsageError(f"{problem}; the columns are {', '.join(map(repr, header[:SHOWN])) or 'none'}{more}")


def _check_widths(path: Path, width: int, lines: Iterable[Sequence[str]]) -> None:
    """See that no row has more cells than there are names: a decimal comma makes two cells of one number."""
    for row, cells in enumerate((cells for cells in lines if cells), 1):
        if any(cells[width:]):
            raise UsageError(
                f"{path}: row {row} has {len(cells)} cells for {width} columns; allowed: a cell for each column, and "
                "numbers with a decimal point"
            )


def _plain(label: str) -> str:
    """A label without what may differ: capitals, blanks and the kind of brackets."""
    return " ".join(label.translate(BRACKETS).lower().split())


def _numbers(path: Path, label: str, text: npt.NDArray[np.object_]) -> npt.NDArray[np.float64]:
    """The cells of a column as numbers [T]."""
    if text.size == 0:
        raise UsageError(f"{path}: column {label!r} has no rows")
    missing = pd.isna(text)
    if missing.any():
        raise _row_error(path, label, int(np.argmax(missing)), "NaN or empty; a number is needed")
    try:
        every = "".join(text)
        if "_" in every or not every.isascii():  # Python reads 1_0 and ٣ as numbers
            raise ValueError
        values = text.astype(np.float64)
    except ValueError:
        row = next(row for row, cell in enumerate(text) if not _is_number(cell))
        raise _row_error(path, label, row, f"{quoted(text[row])} is not a number") from None
    column = Column(path, label, values)
    column.reject(~np.isfinite(values), "is not finite")
    column.reject(np.abs(values) > LARGEST, f"is beyond {LARGEST:g}, which no figure of a building or a tariff is")
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell and cell.isascii()


def _row_error(path: Path, label: str, row: int, problem: str) -> UsageError:
    return UsageError(f"{path}: column {label!r}, row {row + 1}: {problem}")
