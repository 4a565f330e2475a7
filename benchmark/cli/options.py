"""What the commands share: where they print, their options, and what is typed in them."""

from __future__ import annotations

import logging
import netrc
import os
from pathlib import Path
from typing import Annotated, cast, get_args
from urllib.parse import urlsplit

import typer

from accord.benchmark.report.tracking import Mode
from accord.benchmark.specs.checked import MOST
from accord.benchmark.terminal import plain_console
from accord.envs.errors import UsageError

RESULTS = Path("results")
log = logging.getLogger("accord")
out, err = plain_console(), plain_console(stderr=True)

SuiteName = Annotated[str, typer.Argument(help="A suite's name (see `accord list`) or a YAML file.")]
Root = Annotated[Path, typer.Option(help="Where scratch runs are kept.")]
Results = Annotated[Path, typer.Option(help="Where published runs are kept.")]
Methods = Annotated[str, typer.Option(help="Only these methods, separated by commas.")]
Scenarios = Annotated[str, typer.Option(help="Only scenarios whose address has one of these words, whole ones.")]
Variants = Annotated[str, typer.Option(help="Only these variants.")]
Budgets = Annotated[str, typer.Option(help="These budgets instead of the suite's, like average-0.25,hourly-0.3.")]
Seeds = Annotated[int | None, typer.Option(min=1, help="Number of seeds, counted from 0.")]
SeedList = Annotated[str, typer.Option(help="Exactly these seeds, separated by commas.")]
Steps = Annotated[int | None, typer.Option(min=1, max=MOST, help="Agent-steps of training.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes at a time; one per core by default.")]
Wandb = Annotated[str | None, typer.Option(help="online, offline or disabled; else WANDB_MODE, else offline.")]


def words_of(text: str) -> list[str]:
    """The words of a list that is separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers_of(text: str) -> list[int]:
    """The seeds of a list that is separated by commas.

    Raises:
        UsageError: one of them is no seed.
    """
    words = words_of(text)
    for word in words:
        if not word.isdecimal() or int(word) > MOST:
            raise UsageError(
                f"--seed-list: '{word}' is not a seed; allowed: whole numbers from 0 to {MOST}, separated by commas"
            )
    return [int(word) for word in words]


def tracking_mode(flag: str | None, root: Path) -> Mode:
    """The mode of W&B: the command line's word, else WANDB_MODE, else offline; offline too where no account is known.

    Args:
        flag: The command line's word.
        root: Where runs are kept, for the message.

    Raises:
        UsageError: a word that is no mode.
    """
    word, source = (flag, "--wandb") if flag else (os.environ.get("WANDB_MODE") or "offline", "WANDB_MODE")
    if word not in get_args(Mode):
        raise UsageError(f"{source}: unknown mode '{word}'; allowed: {', '.join(get_args(Mode))}")
    if word == "online" and not _has_account():
        log.warning("W&B: no API key on this machine, so runs are kept offline under %s/wandb", root)
        return "offline"
    return cast(Mode, word)


def _has_account() -> bool:
    """A key in the environment or in the netrc file; asking W&B itself could prompt or wait for the network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
