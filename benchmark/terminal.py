"""Printing: names that users chose stay as they are typed, on any terminal."""

from __future__ import annotations

import io
import sys

from rich.console import Console


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console that takes no word for a style, a number or an emoji, whatever brackets and colons are around it.

    Args:
        stderr: It prints to standard error.
        width: Characters of a line; the terminal's by default.
    """
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def replace_unprintable() -> None:
    """Print a question mark for a character that the terminal's encoding lacks, like µ or λ."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
