"""Commands of multi-resource allocation: the studies of its policies, and an episode to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accord.benchmark.cli.options import (
    Address,
    Jobs,
    LauncherName,
    MethodName,
    Results,
    Root,
    err,
    launcher_from,
    out,
    path_option,
    tell,
)
from accord.benchmark.places import RESULTS, SCRATCH, local_folder
from accord.benchmark.specs.limits import MOST
from accord.envs.errors import UsageError

SUITE = "allocation"


def studies(
    publish: Annotated[bool, typer.Option("--publish", help="Write the report to results/.")] = False,
    jobs: Jobs = None,
    launcher: LauncherName = "local",
    address: Address = None,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Look into the policies of the suite `allocation`: contraction, gap to the expert, reassignment.

    Goes on where an earlier call stopped.
    """
    from accord.benchmark.records.store import Store
    from accord.benchmark.specs.suite import load_suite
    from accord.benchmark.studies.make import run_studies
    from accord.benchmark.studies.report import markdown, write_studies

    suite = load_suite(SUITE)
    chosen = launcher_from(launcher, address, jobs, root, quiet=True)
    tables = run_studies(suite, Store(root), tell, chosen)
    target = (results if publish else local_folder(root) / "reports") / SUITE / "studies"
    files = write_studies(tables, target)
    out.print(markdown(tables), soft_wrap=True)
    err.print(f"{len(files)} files under {target}/", soft_wrap=True)


def film(
    method: MethodName,
    scenario: Annotated[str, typer.Argument(help="Address, like allocation_10x2/radius-1/jumps.")],
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Of the policy and the episode.")] = 0,
    variant: Annotated[str, typer.Option(help="Of the method; its default is the one without a name.")] = "",
    to: Annotated[Path | None, path_option("File; by default METHOD.gif.")] = None,
    root: Root = SCRATCH,
) -> None:
    """Show an episode of multi-resource allocation as an animated GIF; a policy is trained first if there is none."""
    from accord.baselines.registry import known_names, unknown_name
    from accord.benchmark.specs.expand import runs_of
    from accord.benchmark.specs.suite import load_suite
    from accord.benchmark.studies.film import film_episode
    from accord.envs.allocation.dynamics import ResourceAllocation
    from accord.envs.catalogue import resolve

    if not isinstance(resolve(scenario).task(), ResourceAllocation):
        raise UsageError(f"SCENARIO: '{scenario}' is not multi-resource allocation; see accord districts")
    if method not in known_names():
        raise UsageError(f"METHOD: {unknown_name(method)}")
    known = {
        spec.variant: spec for spec in runs_of(load_suite(SUITE)) if (spec.method, spec.scenario) == (method, scenario)
    }
    if not known:
        raise UsageError(f"METHOD: suite '{SUITE}' does not run {method} on '{scenario}'")
    if variant not in known:
        allowed = ", ".join(f"'{name}'" for name in known)
        raise UsageError(f"--variant: {method} has no variant '{variant}' on '{scenario}'; allowed: {allowed}")
    spec = known[variant].model_copy(update={"seed": seed})
    path = to or Path(f"{method}.gif")
    total = film_episode(spec, path, root)
    out.print(f"{path}: return {total:.2f}", soft_wrap=True)
