"""Suites as typed specs, one YAML file each. Everything a person types is checked before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from accord.baselines.registry import METHODS, learns
from accord.benchmark.places import Place
from accord.benchmark.specs.limits import MOST, MOST_SEEDS
from accord.benchmark.specs.named import own_suites, suite_files
from accord.benchmark.specs.resources import Resources
from accord.benchmark.specs.run import EffortSpec
from accord.benchmark.specs.yaml_file import read_model
from accord.envs.errors import UsageError

MOST_LETTERS = 100  # of a name that files are called after


class Entry(BaseModel):
    """A cross product of scenarios and methods: of a district, networks and budgets, or of whole addresses."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    district: str = ""
    networks: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = Field((), description="Whole addresses, in place of district, networks and budgets.")
    methods: tuple[str, ...] = Field(min_length=1)
    variants: dict[str, dict[str, Any]] = Field(
        {"": {}}, description="Settings of each variant; the empty name is the default."
    )
    trained_on: str = Field("", description="Address whose policies are used; each scenario's own by default.")
    seeds: int | None = Field(None, ge=1, le=MOST_SEEDS, description="Instead of the suite's.")
    steps: int | None = Field(None, gt=0, le=MOST, description="Agent-steps of training instead of the suite's.")
    seconds: float | None = Field(None, gt=0, description="Limit of a training instead of the suite's.")
    resources: Resources | None = Field(None, description="What is said here instead of what the suite says.")

    def variants_of(self, method: str) -> dict[str, dict[str, Any]]:
        """Those that a method has: all of one that learns; of a rule those whose settings it knows; of a bound none."""
        if learns(method):
            return self.variants
        known = METHODS[method].method.config_type.model_fields.keys() if method in METHODS else set()
        found = {name: settings for name, settings in self.variants.items() if settings.keys() <= known}
        return found if any(found.values()) else {}

    def addresses(self, budgets: Sequence[str] = ()) -> list[str]:
        """Address of every scenario, with `budgets` in place of the district's own if there are any.

        Raises:
            UsageError: neither whole addresses nor all parts of them, or both.
        """
        parts = (self.district, self.networks, self.budgets)
        if self.scenarios and not any(parts):
            return list(self.scenarios)
        if self.scenarios or not all(parts):
            raise UsageError("an entry needs either scenarios, or district, networks and budgets")
        levels = budgets or self.budgets
        return [f"{self.district}/{network}/{level}" for network in self.networks for level in levels]


class Suite(BaseModel):
    """A named set of runs, one YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(
        "",
        pattern=r"^\w[\w. -]*$",
        max_length=MOST_LETTERS,
        description="Also the folder of its results; the file's by default.",
    )
    description: str
    smoke: bool = Field(False, description="Few seeds and short training: for a first look, not for a paper.")
    subject: str = Field("consensus-gossip", description="The method that others are compared with.")
    seeds: int = Field(ge=1, le=MOST_SEEDS)
    effort: EffortSpec
    resources: Resources = Field(Resources(), description="What each run asks of the machine that carries it out.")
    entries: tuple[Entry, ...] = Field(min_length=1)

    _source: str = PrivateAttr("")

    @property
    def source(self) -> str:
        """The file that it was read from, or its name."""
        return self._source or self.name

    def methods(self) -> list[str]:
        """Every method that an entry lists."""
        return list(dict.fromkeys(method for entry in self.entries for method in entry.methods))


def suite_names() -> list[str]:
    """Suites that come with Accord."""
    return list(suite_files())


def load_suite(name: str, root: Place | None = None) -> Suite:
    """A suite by name, or a user's own by the path of its YAML file.

    Args:
        name: Of a suite that comes with Accord or that was run under `root`, or a path that ends in .yaml or .yml.
        root: Where scratch runs are kept.

    Raises:
        UsageError: no such suite, not YAML, an unknown key, a wrong type or a value out of range.
    """
    path: Place = Path(name)
    if Path(name).suffix not in (".yaml", ".yml"):
        known: dict[str, Place] = {**own_suites(root), **suite_files()}
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise UsageError(f"unknown suite '{name}'; {hint}allowed: {', '.join(sorted(known))}, or a YAML file")
        path = known[name]
    suite = read_model(path, Suite, name=path.stem)
    suite._source = str(path)
    return suite
