"""The command `evaluate`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from accord.benchmark.cli.completion import suite_names
from accord.benchmark.cli.options import Imports, Jobs, Root, Wandb, launcher_from, tracking_mode
from accord.benchmark.places import SCRATCH, Place
from accord.benchmark.specs.named import EVALUATED, own_suite
from accord.envs.errors import UsageError

NAME = re.compile(r"\w[\w. -]*")


def evaluate(
    policy: Annotated[
        str, typer.Argument(help="MODULE:NAME or FILE.py:NAME: a function, an object with `predict`, a torch module.")
    ],
    scenario: Annotated[str, typer.Option(help="Address, like campus_seven/two_groups/hourly-0.35.")],
    model: Annotated[Path | None, typer.Option(help="File that NAME loads, as in stable_baselines3:PPO.")] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="It sees all agents at once, and does not claim to be decentralised.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, counted from 0.")] = 1,
    name: Annotated[str, typer.Option(help="What the row is called; by default NAME, or the model's file.")] = "",
    suite: Annotated[
        str, typer.Option(help="The suite whose tables it stands in.", autocompletion=suite_names)
    ] = EVALUATED,
    jobs: Jobs = None,
    wandb: Wandb = None,
    root: Root = SCRATCH,
    imports: Imports = None,
) -> None:
    """Measure a policy of your own like any method: the same hours, metrics and audit, and a row in the store.

    The policy gets observations [N, O], a row per agent, and gives actions [N, A].
    """
    from accord.baselines.registry import make_method
    from accord.benchmark.cli.carrying_out import evaluate_runs
    from accord.benchmark.records.store import Store
    from accord.benchmark.report.tracking import Tracker
    from accord.benchmark.seeding import seeded
    from accord.benchmark.specs.run import make_run
    from accord.benchmark.specs.suite import load_suite
    from accord.envs.catalogue import resolve

    settings = {"policy": policy, "model": str(model or ""), "joint": joint}
    found = resolve(scenario)
    make_method("outside", settings).build(found.task(), seeded(0, "evaluate"))  # what cannot be loaded ends here
    called = name or (model.stem if model else policy.rpartition(":")[2])
    if not NAME.fullmatch(called):
        raise UsageError(f"--name: '{called}'; allowed: letters, digits, spaces, '.', '_' and '-'")
    mode = tracking_mode(wandb, root)
    if suite == EVALUATED:
        _write_own(root, scenario)
    chosen = load_suite(suite, root)
    specs = [
        make_run(scenario, "outside", seed, suite=chosen.name, variant=called, settings=settings, scenario=found)
        for seed in range(seeds)
    ]
    store = Store(root)
    with Tracker(mode, store) as tracker:
        well = evaluate_runs(chosen, specs, store, tracker, launcher_from("local", None, jobs, root), imports or ())
    if not well:
        raise typer.Exit(1)


def _write_own(root: Place, scenario: str) -> None:
    """The suite that `accord report evaluated` reads."""
    import yaml

    from accord.benchmark.records.files import write_file

    content = {
        "description": "Policies from outside, each measured by `accord evaluate`.",
        "seeds": 1,
        "effort": {"steps": 1},
        "entries": [{"scenarios": [scenario], "methods": ["outside"]}],
    }
    write_file(own_suite(root, EVALUATED), yaml.safe_dump(content, sort_keys=False).encode())
