"""What there is: suites, methods and their settings, the words of a scenario's address, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accord.benchmark.cli.options import Imports, MethodName, Root, out, tell
from accord.benchmark.cli.printing import print_table
from accord.benchmark.places import SCRATCH, Place
from accord.benchmark.specs.named import own_suites, suite_files
from accord.benchmark.specs.plain_yaml import parse
from accord.envs.errors import UsageError

if TYPE_CHECKING:
    from accord.benchmark.index import Index

# By the field of the index that holds its rows: a table's headings and title.
TABLES = {
    "methods": (["method", "what it is", "sees"], "Methods"),
    "addresses": (["address", "what it means"], "Districts and other scenarios"),
    "metrics": (["metric", "unit", "better", "what it is"], "Metrics"),
}


def list_all(root: Root = SCRATCH, imports: Imports = None) -> None:
    """Suites, methods, districts and metrics, one table after the other."""
    suites(root)
    known = _index(imports)
    for table in TABLES:
        _print(table, known)


def suites(root: Root = SCRATCH) -> None:
    """Suites that come with Accord, and your own that were run."""
    rows = [[name, _description(path)] for name, path in suite_files().items()]
    rows += [[name, f"{_description(path)} (run under {root}/)"] for name, path in own_suites(root).items()]
    print_table(["suite", "what it compares"], rows, "Suites")


def methods(imports: Imports = None) -> None:
    """Methods and bounds: what each is, and what it sees when it acts. Settings of one: accord settings METHOD."""
    _print("methods", _index(imports))


def settings(method: MethodName, imports: Imports = None) -> None:
    """A method's settings: default, unit, what is allowed, and what each does. Change one: accord run --set."""
    found = _index(imports).settings.get(method)
    if found is None:
        from accord.baselines.registry import unknown_name

        raise UsageError(f"METHOD: {unknown_name(method)}")
    if not found:
        out.print(f"{method} has no settings")
        return
    headings = ["setting", "default", "unit", "allowed", "what it does"]
    if not out.is_terminal:
        print_table(headings, found, f"Settings of {method}")
        return
    groups = [name.rpartition(".")[0] for name, *_ in found]
    for group in dict.fromkeys(groups):
        own = [row for row, its in zip(found, groups, strict=True) if its == group]
        title = f"Settings of {method}" if not group else f"{group}.…"
        print_table(headings, [[name.removeprefix(f"{group}."), *rest] for name, *rest in own], title)


def districts(imports: Imports = None) -> None:
    """What can be typed as a scenario's address: districts, networks, budgets, and other tasks."""
    _print("addresses", _index(imports))


def metrics(imports: Imports = None) -> None:
    """Metrics that a run is measured by, with their units."""
    _print("metrics", _index(imports))


def _index(imports: Sequence[Path] | None) -> Index:
    # Imported here, since help and completion want none of it.
    from accord.benchmark.index import index

    return index(imports or (), tell)


def _print(table: str, known: Index) -> None:
    headings, title = TABLES[table]
    print_table(headings, getattr(known, table), title)


def _description(path: Place) -> str:
    """Its first sentence, or what is wrong with the file."""
    try:
        said = parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, ValueError) as fault:  # text in another encoding and a UsageError are of the latter
        return str(fault)
    words = str(said.get("description", "") if isinstance(said, dict) else "").split()
    first, dot, _ = " ".join(words).partition(". ")
    return f"{first}{dot.strip()}" or "has no description"
