"""From a suite and what the command line changes in it to its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from accord.baselines.registry import known_names, make_method, unknown_name
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.run import RunSpec, in_scenario, make_run
from accord.benchmark.specs.suite import Entry, Suite
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError


def check_runs(specs: Sequence[RunSpec]) -> None:
    """Raise a `UsageError` where a scenario needs a package that is not installed here."""
    for address in dict.fromkeys(spec.scenario for spec in specs):
        resolve(address).check()


def runs_of(suite: Suite, overrides: Overrides | None = None) -> list[RunSpec]:
    """Every run of a suite, in a fixed order, whether it can be carried out here or not; see `check_runs`.

    Raises:
        UsageError: an unknown method, scenario or setting, or a filter that leaves nothing.
    """
    chosen = overrides or Overrides()
    _check_names(suite)
    chosen.check_against(suite)
    specs = [spec for i, entry in enumerate(suite.entries) for spec in _expand(suite, i, entry, chosen)]
    unique = list({spec.digest: spec for spec in specs}.values())
    if not unique:
        raise UsageError(
            f"suite '{suite.name}': no run is left after the filters on the command line; --scenarios takes whole "
            "words of addresses, from slash to slash"
        )
    if chosen.settings and not any(chosen.changes(spec.method) for spec in unique):
        raise UsageError(
            f"--set: no method that is left has the settings {', '.join(chosen.settings)}; choose by --methods"
        )
    for label, count in Counter(spec.label for spec in unique).items():
        if count > 1:
            raise UsageError(
                f"suite '{suite.name}': its entries run '{label}' in {count} ways; "
                "leave it out with --methods or --scenarios, or name the ways by variants"
            )
    return unique


def _check_names(suite: Suite) -> None:
    """Name file and key of what the catalogue and the registry do not know."""
    with _naming(suite, "subject"):
        if suite.subject not in known_names():
            raise UsageError(unknown_name(suite.subject))
    for i, entry in enumerate(suite.entries):
        with _naming(suite, f"entries.{i}.trained_on"):
            if entry.trained_on:
                resolve(entry.trained_on)
        with _naming(suite, f"entries.{i}.methods"):
            for method in entry.methods:
                if method not in known_names():
                    raise UsageError(unknown_name(method))
        for method in entry.methods:
            for variant, settings in entry.variants_of(method).items():
                with _naming(suite, f"entries.{i}.variants.{variant}"):
                    make_method(method, settings)


@contextmanager
def _naming(suite: Suite, key: str) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{suite.source}: key '{key}': {error}") from None


def _expand(suite: Suite, index: int, entry: Entry, chosen: Overrides) -> Iterator[RunSpec]:
    own = {"steps": chosen.steps or entry.steps, "seconds": entry.seconds}
    effort = suite.effort.model_copy(update={name: value for name, value in own.items() if value})
    methods = chosen.methods_for(entry, suite.methods())
    where = f"--budgets or entries.{index}" if chosen.budgets else f"entries.{index}"
    with _naming(suite, where):
        addresses = entry.addresses(chosen.budgets)
    for address in addresses:
        if not in_scenario(address, chosen.scenarios):
            continue
        with _naming(suite, where):
            scenario = resolve(address)
        for method in methods:
            for variant, settings in chosen.variants_for(method, entry).items():
                for seed in chosen.seeds_for(method, entry.seeds or suite.seeds):
                    yield make_run(
                        scenario.address,
                        method,
                        seed,
                        suite=suite.name,
                        variant=variant,
                        settings=settings,
                        effort=effort,
                        trained_on=entry.trained_on,
                        device=chosen.device,
                        resources=suite.resources.over(entry.resources),
                        scenario=scenario,
                        runs_here=False,
                    )
