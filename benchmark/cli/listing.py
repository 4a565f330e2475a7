"""What there is: suites, methods and their settings, the words of a scenario's address, metrics."""

from __future__ import annotations

from pathlib import Path

import yaml

from accord.benchmark.cli.options import Imports, MethodName, Root, out
from accord.benchmark.cli.printing import print_table
from accord.benchmark.places import SCRATCH
from accord.benchmark.specs.named import own_suites, suite_files


def list_all(root: Root = SCRATCH, imports: Imports = None) -> None:
    """Suites, methods, districts and metrics, one table after the other."""
    suites(root)
    methods()
    districts()
    metrics()


def suites(root: Root = SCRATCH) -> None:
    """Suites that come with Accord, and your own that were run."""
    rows = [[name, _description(path)] for name, path in suite_files().items()]
    rows += [[name, f"{_description(path)} (run under {root}/)"] for name, path in own_suites(root).items()]
    print_table(["suite", "what it compares"], rows, "Suites")


def methods(imports: Imports = None) -> None:
    """Methods and bounds: what each is, and what it sees when it acts. Settings of one: accord settings METHOD."""
    from accord.baselines.registry import METHODS, REFERENCES

    rows = [[name, _first_line(entry.method), entry.sees] for name, entry in sorted(METHODS.items())]
    rows += [[name, _first_line(kind), kind.summary] for name, kind in sorted(REFERENCES.items())]
    print_table(["method", "what it is", "sees"], rows, "Methods")


def settings(method: MethodName, imports: Imports = None) -> None:
    """A method's settings: default, unit, what is allowed, and what each does. Change one: accord run --set."""
    from accord.benchmark.specs.settings import settings_of

    found = settings_of(method)
    if not found:
        out.print(f"{method} has no settings")
        return
    headings = ["setting", "default", "unit", "allowed", "what it does"]
    if not out.is_terminal:
        print_table(
            headings, [[s.name, s.default, s.unit, s.allowed, s.meaning] for s in found], f"Settings of {method}"
        )
        return
    for group in dict.fromkeys(setting.group for setting in found):
        own = [s for s in found if s.group == group]
        title = f"Settings of {method}" if not group else f"{group}.…"
        rows = [[s.name.removeprefix(f"{group}."), s.default, s.unit, s.allowed, s.meaning] for s in own]
        print_table(headings, rows, title)


def districts(imports: Imports = None) -> None:
    """What can be typed as a scenario's address: districts, networks, budgets, and other tasks."""
    from accord.envs.catalogue import words

    print_table(["address", "what it means"], [list(pair) for pair in words()], "Districts and other scenarios")


def metrics(imports: Imports = None) -> None:
    """Metrics that a run is measured by, with their units."""
    from accord.benchmark.evaluation.metrics import METRICS

    rows = []
    for name, entry in METRICS.items():
        better = f"{entry.better}er" if entry.better else ""
        rows.append([name, entry.unit, better, _first_line(entry.compute) or "measured around the rollout"])
    print_table(["metric", "unit", "better", "what it is"], rows, "Metrics")


def _description(path: Path) -> str:
    """Its first sentence."""
    words = str(yaml.safe_load(path.read_text(encoding="utf-8"))["description"]).split()
    first, dot, _ = " ".join(words).partition(". ")
    return f"{first}{dot.strip()}"


def _first_line(thing: object) -> str:
    return (getattr(thing, "__doc__", None) or "").strip().partition("\n")[0]
