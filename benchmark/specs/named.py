"""Suites and searches by name, as files: nothing is checked here, so that the command line knows names at once."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from accord.benchmark.places import Place

SUITES = "accord.benchmark.suites"  # where those lie that come with Accord
RAN = "suites"  # the folder, under that of scratch runs, of users' own suites that were run
EVALUATED = "evaluated"  # the suite of policies from outside that stand in no other


def files_of(package: str) -> dict[str, Path]:
    """The YAML files that lie in a package, by name without the suffix, in the order of names."""
    found = (Path(str(file)) for file in resources.files(package).iterdir() if file.name.endswith(".yaml"))
    return {path.stem: path for path in sorted(found)}


def suite_files() -> dict[str, Path]:
    """The files of the suites that come with Accord, by name."""
    return files_of(SUITES)


def own_suites(root: Place | None) -> dict[str, Place]:
    """The files of a user's own suites that were run under a folder of scratch runs, by name."""
    return {} if root is None else {path.stem: path for path in sorted((root / RAN).glob("[!.]*.yaml"), key=str)}


def own_suite(root: Place, name: str) -> Place:
    """Where a user's own suite is kept that was run under a folder of scratch runs."""
    return root / RAN / f"{name}.yaml"
