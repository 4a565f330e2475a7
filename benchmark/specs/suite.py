"""Suites and runs as typed specs. Everything a person types is checked here, before anything runs."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from accord.baselines.base import Effort
from accord.baselines.registry import REFERENCES, explain, known_names, learns, make_method, unknown_name
from accord.benchmark.specs.overrides import Overrides
from accord.envs.catalogue import VERSION, Scenario, resolve
from accord.envs.errors import UsageError

SCHEMA = 2  # of the specs that are made now


class EffortSpec(BaseModel):
    """Training budget of one policy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(gt=0, description="Agent-steps.")
    seconds: float = Field(180.0, gt=0, description="Wall-clock limit; reaching it first is `out of time`.")
    snapshots: int = Field(0, ge=0, description="Points of the learning curve; 0 keeps none.")

    def effort(self) -> Effort:
        """For a method."""
        return Effort(self.steps, self.seconds)


class Entry(BaseModel):
    """A cross product of scenarios and methods: of a district, networks and budgets, or of whole addresses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    district: str = ""
    networks: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = Field((), description="Whole addresses, in place of district, networks and budgets.")
    methods: tuple[str, ...] = Field(min_length=1)
    variants: dict[str, dict[str, Any]] = Field(
        {"": {}}, description="Settings of each variant; the empty name is the default."
    )
    trained_on: str = Field("", description="Address whose policies are used; each scenario's own by default.")
    seeds: int | None = Field(None, ge=1, description="Instead of the suite's.")
    steps: int | None = Field(None, gt=0, description="Agent-steps of training instead of the suite's.")
    seconds: float | None = Field(None, gt=0, description="Limit of a training instead of the suite's.")

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

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("", pattern=r"^\w[\w. -]*$", description="Also the folder of its results; the file's by default.")
    description: str
    smoke: bool = Field(False, description="Few seeds and short training: for a first look, not for a paper.")
    subject: str = Field("consensus-gossip", description="The method that others are compared with.")
    seeds: int = Field(ge=1)
    effort: EffortSpec
    entries: tuple[Entry, ...] = Field(min_length=1)

    _source: str = PrivateAttr("")

    def runs(self, overrides: Overrides | None = None) -> list[RunSpec]:
        """Every run, in a fixed order.

        Raises:
            UsageError: an unknown method, scenario or setting, or a filter that leaves nothing.
        """
        chosen = overrides or Overrides()
        self._check_names()
        chosen.check_against(self)
        specs = [spec for i, entry in enumerate(self.entries) for spec in self._expand(i, entry, chosen)]
        unique = list({spec.digest: spec for spec in specs}.values())
        if not unique:
            raise UsageError(
                f"suite '{self.name}': no run is left after the filters on the command line; --scenarios takes whole "
                "words of addresses, from slash to slash"
            )
        for label, count in Counter(spec.label for spec in unique).items():
            if count > 1:
                raise UsageError(
                    f"suite '{self.name}': its entries run '{label}' in {count} ways; "
                    "leave it out with --methods or --scenarios, or name the ways by variants"
                )
        return unique

    def methods(self) -> list[str]:
        """Every method that an entry lists."""
        return list(dict.fromkeys(method for entry in self.entries for method in entry.methods))

    def _check_names(self) -> None:
        """Name file and key of what the catalogue and the registry do not know."""
        with self._naming("subject"):
            if self.subject not in known_names():
                raise UsageError(unknown_name(self.subject))
        for i, entry in enumerate(self.entries):
            with self._naming(f"entries.{i}.trained_on"):
                if entry.trained_on:
                    resolve(entry.trained_on)
            with self._naming(f"entries.{i}.methods"):
                for method in entry.methods:
                    if method not in known_names():
                        raise UsageError(unknown_name(method))
            for variant, settings in entry.variants.items():
                with self._naming(f"entries.{i}.variants.{variant}"):
                    for method in entry.methods:
                        if learns(method):
                            make_method(method, settings)

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise UsageError(f"{self._source or self.name}: key '{key}': {error}") from None

    def _expand(self, index: int, entry: Entry, chosen: Overrides) -> Iterator[RunSpec]:
        own = {"steps": chosen.steps or entry.steps, "seconds": entry.seconds}
        effort = self.effort.model_copy(update={name: value for name, value in own.items() if value})
        methods = chosen.methods_for(entry, self.methods())
        where = f"--budgets or entries.{index}" if chosen.budgets else f"entries.{index}"
        with self._naming(where):
            addresses = entry.addresses(chosen.budgets)
        for address in addresses:
            with self._naming(where):
                scenario = resolve(address).address
            if not in_scenario(scenario, chosen.scenarios):
                continue
            for method in methods:
                for variant, settings in chosen.variants_for(method, entry).items():
                    for seed in chosen.seeds_for(method, entry.seeds or self.seeds):
                        yield make_run(
                            scenario,
                            method,
                            seed,
                            suite=self.name,
                            variant=variant,
                            settings=settings,
                            effort=effort,
                            trained_on=entry.trained_on,
                        )


class RunSpec(BaseModel):
    """One run, resolved: what it is called, and everything that its result depends on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = ""
    scenario: str
    method: str
    variant: str = ""
    seed: int = Field(ge=0)
    config: dict[str, Any] = Field(default_factory=dict, description="Every setting of the method, defaults included.")
    effort: EffortSpec | None = Field(None, description="None for a method that does not learn.")
    trained_on: str = Field("", description="Address of another scenario whose policy is used; empty for its own.")
    catalogue: int = Field(VERSION, description="Version of the catalogue that gave the address its meaning.")

    schema_version: int = Field(1, ge=1, le=SCHEMA, description="Which fields the digest is made of; see `identity`.")

    def identity(self) -> dict[str, Any]:
        """What the digest is made of, and how a spec is written down: every field.

        Specs of schema 1 were written before there were transfers and learning curves. What they do not use of these
        stays out, so that published runs keep their digests.
        """
        fields = self.model_dump(mode="json")
        if self.schema_version == 1:
            del fields["schema_version"]
            if not self.trained_on:
                del fields["trained_on"]
            if self.effort is not None and not self.effort.snapshots:
                del fields["effort"]["snapshots"]
        return fields

    @cached_property
    def digest(self) -> str:
        """Names the run's folder; hex, 16 characters."""
        return digest_of(self.identity())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with a digest of its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("digest", None)
        return copy

    @property
    def training_scenario(self) -> Scenario:
        """What the policy is trained on: another scenario where `trained_on` says so, and what held before a change."""
        return resolve(self.trained_on or self.scenario).trained_on

    @property
    def label(self) -> str:
        """For people."""
        variant = f" [{self.variant}]" if self.variant else ""
        return f"{self.scenario} {self.method}{variant} seed {self.seed}"


def make_run(
    scenario: str,
    method: str,
    seed: int,
    *,
    suite: str = "",
    variant: str = "",
    settings: dict[str, Any] | None = None,
    effort: EffortSpec | None = None,
    trained_on: str = "",
) -> RunSpec:
    """Resolve one run.

    Raises:
        UsageError: an unknown scenario, method or setting, or a scenario whose package is not installed.
    """
    resolve(scenario).check()
    if method in REFERENCES:
        if settings:
            raise UsageError(f"method '{method}': a bound has no settings")
        return RunSpec(suite=suite, scenario=scenario, method=method, seed=seed, schema_version=SCHEMA)
    trained = learns(method)
    config = make_method(method, settings).config
    return RunSpec(
        suite=suite,
        scenario=scenario,
        method=method,
        variant=variant if trained else "",
        seed=seed,
        config=config.model_dump(mode="json"),
        effort=effort if trained else None,
        trained_on=trained_on if trained else "",
        schema_version=SCHEMA,
    )


def in_scenario(address: str, parts: Sequence[str]) -> bool:
    """The address contains one of `parts`, whole words between slashes; without parts every address does."""
    return not parts or any(f"/{part.strip('/')}/" in f"/{address}/" for part in parts)


def suite_names() -> list[str]:
    """Suites that come with Accord."""
    files = resources.files("accord.benchmark.suites").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_suite(name: str) -> Suite:
    """A suite by name, or a user's own by the path of its YAML file.

    Raises:
        UsageError: no such suite, not YAML, an unknown key, a wrong type or a value out of range.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if name not in suite_names():
            close = difflib.get_close_matches(name, suite_names(), n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise UsageError(f"unknown suite '{name}'; {hint}allowed: {', '.join(suite_names())}, or a YAML file")
        path = Path(str(resources.files("accord.benchmark.suites") / f"{name}.yaml"))
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: a suite is a mapping with the keys {', '.join(Suite.model_fields)}")
    try:
        suite = Suite.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None
    suite._source = str(path)
    return suite


def digest_of(content: Any) -> str:
    """A short digest of anything that JSON can hold."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
