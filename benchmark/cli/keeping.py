"""Commands for a store: is it sound, what can go, and how its runs get to another machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.benchmark.cli.options import Root, out
from accord.benchmark.places import SCRATCH

store_app = typer.Typer(no_args_is_help=True, help="Check, clean, export and import scratch runs.")
Archive = Annotated[Path, typer.Argument(help="A tar archive.")]


@store_app.command()
def check(root: Root = SCRATCH) -> None:
    """Hold every file against its digest; exit status 1 if one is not what was written there."""
    from accord.benchmark.records.upkeep import faults

    found = list(faults(root))
    for line in found:
        out.print(line, soft_wrap=True)
    if found:
        out.print(f"{len(found)} damaged under {root}/; accord run carries out again what they were of", soft_wrap=True)
        raise typer.Exit(1)
    out.print(f"nothing is damaged under {root}/", soft_wrap=True)


@store_app.command()
def gc(root: Root = SCRATCH) -> None:
    """Remove what interrupted writes left a day ago or earlier, and damaged files that were set aside."""
    from accord.benchmark.records.upkeep import litter, remove

    found = litter(root)
    remove(found)
    out.print(f"{len(found)} removed under {root}/", soft_wrap=True)


@store_app.command()
def export(
    archive: Archive,
    suite: Annotated[str, typer.Option(help="Of this suite alone.")] = "",
    root: Root = SCRATCH,
) -> None:
    """Write runs, their policies and what they are compared with, as a tar archive."""
    from accord.benchmark.records.store import Store
    from accord.benchmark.records.upkeep import export as write

    count = write(Store(root), suite, archive)
    out.print(f"{count} runs in {archive}", soft_wrap=True)


@store_app.command(name="import")
def take(archive: Archive, root: Root = SCRATCH) -> None:
    """Add the runs of an archive that export wrote; what is there already stays."""
    from accord.benchmark.records.store import Store
    from accord.benchmark.records.upkeep import take_in

    added, stayed = take_in(Store(root), archive)
    out.print(f"{added} files added under {root}/, {stayed} were there", soft_wrap=True)
