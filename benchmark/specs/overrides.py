"""What the command line changes in a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pydantic import BaseModel

from accord.baselines.registry import (
    METHODS,
    has_randomness,
    known_names,
    learns,
    make_method,
    merge,
    nest,
    unknown_name,
)
from accord.benchmark.specs.plain_yaml import parse
from accord.benchmark.specs.run import CPU, Device
from accord.benchmark.specs.settings import text_of
from accord.benchmark.specs.suite import Entry, Suite
from accord.envs.errors import UsageError


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a suite.

    Attributes:
        methods: Only these methods; one that the suite does not list runs on all its scenarios, with its defaults.
        scenarios: Only scenarios whose address contains one of these words, or of these words joined by slashes.
        variants: Only these variants.
        budgets: These budgets instead of the suite's.
        seeds: Seeds 0 to this number, less one.
        seed_list: Exactly these seeds.
        steps: Agent-steps of training.
        settings: By dotted name, what the methods are run with on top of their variants; the runs are variants of their
            own, whose names say so.
        device: Where runs are computed that can be computed there, see `make_run`.
    """

    methods: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    variants: Sequence[str] = ()
    budgets: Sequence[str] = ()
    seeds: int | None = None
    seed_list: Sequence[int] = ()
    steps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: Device = CPU

    def check_against(self, suite: Suite) -> None:
        """Raise a `UsageError` for a name that nothing knows, and for seeds that are given twice."""
        if self.seeds is not None and self.seed_list:
            raise UsageError("--seeds: leave it out with --seed-list, which names the seeds")
        for method in self.methods:
            if method not in known_names():
                raise UsageError(f"--methods: {unknown_name(method)}")
        if self.budgets and not any(entry.district for entry in suite.entries):
            raise UsageError(
                f"--budgets: suite '{suite.name}' lists whole addresses; choose some of them by --scenarios"
            )
        known = sorted({variant for entry in suite.entries for variant in entry.variants})
        for variant in self.variants:
            if variant not in known:
                allowed = ", ".join(f"'{name}'" for name in known)
                raise UsageError(f"--variants: suite '{suite.name}' has no variant '{variant}'; allowed: {allowed}")

    def methods_for(self, entry: Entry, listed: Sequence[str]) -> list[str]:
        """Which methods to run in an entry, given those that the suite lists anywhere."""
        if not self.methods:
            return list(entry.methods)
        return [method for method in self.methods if method in entry.methods or method not in listed]

    def variants_for(self, method: str, entry: Entry) -> dict[str, dict[str, Any]]:
        """Name and settings of each variant of a method that is wanted.

        Raises:
            UsageError: a method that learns does not take the settings of the command line.
        """
        wanted: dict[str, dict[str, Any]] = {"": {}}
        own = entry.variants_of(method) if method in entry.methods else {}
        if own:
            wanted = {name: settings for name, settings in own.items() if name in (self.variants or own)}
        if not self.changes(method):
            return wanted
        return dict(self._changed(method, name, settings) for name, settings in wanted.items())

    def changes(self, method: str) -> bool:
        """Its settings are changed; a rule or bound that has others, or none, runs as it is beside what learns."""
        if not self.settings or method not in METHODS:
            return False
        return learns(method) or all(_has(METHODS[method].method.config_type, name) for name in self.settings)

    def _changed(self, method: str, variant: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        together = merge(settings, nest(dict(self.settings)))
        try:
            config = make_method(method, together).config.model_dump(mode="json")
        except UsageError as error:
            raise UsageError(f"--set: {error}; see: accord settings {method}") from None
        values = {name: reduce(lambda part, key: part[key], name.split("."), config) for name in self.settings}
        words = [f"{name}={text_of(value)}" for name, value in values.items()]
        return " ".join([*([variant] if variant else []), *words]), together

    def seeds_for(self, method: str, default: int) -> Sequence[int]:
        """Seeds of one method: a method without randomness has one run, whatever the seeds."""
        if not has_randomness(method):
            return (0,)
        return list(dict.fromkeys(self.seed_list)) or range(self.seeds or default)


def settings_from(texts: Sequence[str]) -> dict[str, Any]:
    """Settings by dotted name from words like `ppo.lr=1e-3`; values are read as in a suite's YAML.

    Raises:
        UsageError: a word is not of this form, or two of them are about one setting.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not (equals and all(part.isidentifier() for part in name.split("."))):
            raise UsageError(
                f"--set: '{text}' is not NAME=VALUE; allowed: like ppo.lr=1e-3, see accord settings METHOD"
            )
        clash = next(
            (other for other in found if f"{other}.".startswith(f"{name}.") or f"{name}.".startswith(f"{other}.")), None
        )
        if clash is not None:
            raise UsageError(f"--set: '{text}' is about the same setting as '{clash}={found[clash]}'; leave one out")
        found[name] = parse(value, f"--set: '{text}'")
        if isinstance(found[name], dict):
            raise UsageError(f"--set: '{text}' has several settings; give each by itself, like ppo.lr=1e-3")
    return found


def _has(model: type[BaseModel], name: str) -> bool:
    """A model has a setting of a dotted name."""
    first, _, rest = name.partition(".")
    field = model.model_fields.get(first)
    if field is None:
        return False
    kind = field.annotation
    return not rest or (isinstance(kind, type) and issubclass(kind, BaseModel) and _has(kind, rest))
