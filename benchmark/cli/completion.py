"""What the shell completes: names that stand in files, read without torch."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import typer
import yaml

from accord.benchmark.places import SCRATCH
from accord.benchmark.specs.named import own_suites, suite_files


def suite_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Suites that come with Accord and those that were run under --root."""
    root = ctx.params.get("root") or SCRATCH  # a URL is not asked while somebody types
    names = {**suite_files(), **own_suites(root if isinstance(root, Path) else None)}
    return [name for name in names if name.startswith(incomplete)]


def method_name(incomplete: str) -> list[str]:
    """Methods that a suite of Accord or tuned.yaml names; who has others types them."""
    return [name for name in _methods() if name.startswith(incomplete)]


def method_names(incomplete: str) -> list[str]:
    """The same at the end of a list that is separated by commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in method_name(last) if name not in before.split(",")]


def _methods() -> list[str]:
    found = set(yaml.safe_load((resources.files("accord") / "baselines" / "tuned.yaml").read_text(encoding="utf-8")))
    for path in suite_files().values():
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["entries"]:
            found |= set(entry["methods"])
    return sorted(found)
