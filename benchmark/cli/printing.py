"""Tables of a few columns: drawn on a terminal, Markdown where the output goes elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from accord.benchmark.cli.options import out
from accord.benchmark.markdown import markdown_table


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a table; what is too long for a terminal goes on in the next line of its cell.

    Args:
        headings: Of the columns.
        rows: A text per column.
        title: Above it.
    """
    if not out.is_terminal:
        text = "\n\n".join([*([f"## {title}"] if title else []), markdown_table(headings, rows)])
        out.print(text, "", sep="\n", soft_wrap=True)
        return
    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
