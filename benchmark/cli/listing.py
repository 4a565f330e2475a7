"""What there is: suites, methods, and the words of a scenario's address."""

from __future__ import annotations

from rich.table import Table

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.cli.options import out
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.specs.suite import load_suite, suite_names
from accord.envs.catalogue import words


def list_all() -> None:
    """Suites, methods, scenarios and metrics."""
    table = Table(show_header=False, box=None)
    for name in suite_names():
        table.add_row("suite", name, load_suite(name).description)
    for method in dict.fromkeys(entry.method for entry in METHODS.values()):
        names = ", ".join(sorted(name for name, entry in METHODS.items() if entry.method is method))
        table.add_row("method", names, _first_line(method))
    for name, reference in sorted(REFERENCES.items()):
        table.add_row("reference", name, _first_line(reference))
    for address, meaning in words():
        table.add_row("scenario", address, meaning)
    table.add_row("metric", ", ".join(METRICS), "see `accord show RUN`")
    out.print(table)


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").partition("\n")[0]
