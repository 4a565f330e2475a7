"""Commands of districts of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
import yaml

from accord.benchmark.cli.options import out
from accord.envs.districts.named import FOLDER
from accord.envs.districts.template import write_template

SUITE = "suite.yaml"
NETWORK, BUDGET = "complete", "average-0.5"
METHODS = ("oracle", "serve_now", "rule_based")


def new_district(
    folder: Annotated[Path, typer.Argument(help="A new or an empty folder.")],
) -> None:
    """Write a district to fill in with data of one's own, in CityLearn's schema, and a suite that runs it."""
    suite = folder / SUITE
    command = f"accord run {shlex.quote(str(suite))}"
    files = write_template(folder, command)
    entry = {"district": f"{FOLDER}{folder.resolve()}", "networks": [NETWORK], "budgets": [BUDGET]}
    content = {
        "name": "own-district",
        "description": "A district of one's own without control, under a rule and at its optimum.",
        "smoke": True,
        "seeds": 1,
        "effort": {"steps": 200_000, "seconds": 180},
        "entries": [{**entry, "methods": list(METHODS)}],
    }
    suite.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for file in (*files, suite):
        out.print(str(file), soft_wrap=True)
    out.print(command, soft_wrap=True)
