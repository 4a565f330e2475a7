"""What the command line changes in a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accord.baselines.registry import has_randomness, known_names, learns, unknown_name
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
    """

    methods: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    variants: Sequence[str] = ()
    budgets: Sequence[str] = ()
    seeds: int | None = None
    seed_list: Sequence[int] = ()
    steps: int | None = None

    def check_against(self, suite: Suite) -> None:
        """Raise a `UsageError` for a name that nothing knows."""
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
        """Name and settings of each variant of a method that is wanted."""
        if method not in entry.methods or not learns(method):
            return {"": {}}
        wanted = self.variants or entry.variants
        return {name: settings for name, settings in entry.variants.items() if name in wanted}

    def seeds_for(self, method: str, default: int) -> Sequence[int]:
        """Seeds of one method: a method without randomness has one run, whatever the seeds."""
        if not has_randomness(method):
            return (0,)
        return list(dict.fromkeys(self.seed_list)) or range(self.seeds or default)
