"""What the commands share: where they print, their options, and what is typed in them.

Nothing here imports torch, nor do the modules of commands at their top: help and completion answer at once.
"""

from __future__ import annotations

import logging
import netrc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args
from urllib.parse import urlsplit

import typer

from accord.benchmark.cli.completion import method_name, method_names, suite_names
from accord.benchmark.places import Place, local_folder, place_from
from accord.benchmark.specs.limits import MOST, MOST_SEEDS
from accord.benchmark.terminal import plain_console
from accord.benchmark.urls import Url
from accord.envs.errors import UsageError
from accord.envs.plugins import import_files

if TYPE_CHECKING:
    from accord.benchmark.launch.jobs import Launcher
    from accord.benchmark.report.tracking import Mode
    from accord.benchmark.specs.run import Device

log = logging.getLogger("accord")
DEVICES = ("cpu", "cuda")  # of a machine that is not this one
out, err = plain_console(), plain_console(stderr=True)


def imported(ctx: typer.Context, files: list[Path] | None) -> list[Path]:
    """Import what --import names before any other option is looked at; not while the shell completes a word."""
    return [] if ctx.resilient_parsing else import_files(files or [])


def root_of(ctx: typer.Context, place: Place | None) -> Place | None:
    """See that a URL can be used before anything else is done; not while the shell completes a word."""
    if isinstance(place, Url) and not ctx.resilient_parsing:
        place.check()
    return place


def path_of(param: typer.CallbackParam, place: Place | None) -> Path | None:
    """Refuse a URL where files of this machine are written and read.

    Raises:
        UsageError: it is one.
    """
    if isinstance(place, Url):
        name = param.opts[0] if param.opts[0].startswith("-") else param.opts[0].upper()
        raise UsageError(f"{name}: '{place}' is a URL; allowed: a path on this machine; --root alone may be a URL")
    assert place is None or isinstance(place, Path)
    return place


def store_option(text: str) -> Any:
    """An option for a folder or a URL, with a text for its help."""
    return typer.Option(help=text, metavar="PATH", parser=place_from, callback=root_of)


def path_option(text: str) -> Any:
    """An option for a path on this machine."""
    return typer.Option(help=text, metavar="PATH", parser=place_from, callback=path_of)


SuiteName = Annotated[
    str,
    typer.Argument(
        help="A suite's name (see `accord suites`), one of your own that was run, or a YAML file.",
        autocompletion=suite_names,
    ),
]
MethodName = Annotated[str, typer.Argument(help="A method's name, see `accord methods`.", autocompletion=method_name)]
Root = Annotated[Place, store_option("Where scratch runs are kept: a folder, or a URL like s3://bucket/prefix.")]
Results = Annotated[Path, path_option("Where published runs are kept: a folder on this machine.")]
Methods = Annotated[str, typer.Option(help="Only these methods, separated by commas.", autocompletion=method_names)]
Scenarios = Annotated[str, typer.Option(help="Only scenarios whose address has one of these words, whole ones.")]
Variants = Annotated[str, typer.Option(help="Only these variants.")]
Budgets = Annotated[str, typer.Option(help="These budgets instead of the suite's, like average-0.25,hourly-0.3.")]
Seeds = Annotated[int | None, typer.Option(min=1, max=MOST_SEEDS, help="Number of seeds, counted from 0.")]
SeedList = Annotated[str, typer.Option(help="Exactly these seeds, separated by commas.")]
Steps = Annotated[int | None, typer.Option(min=1, max=MOST, help="Agent-steps of training.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes at a time; one per core by default.")]
LauncherName = Annotated[str, typer.Option("--launcher", help="What carries runs out: local, ray or slurm.")]
Address = Annotated[str | None, typer.Option(help="Of a running Ray cluster, like auto; one is started without.")]
OnDevice = Annotated[str, typer.Option("--device", help="cpu, cuda, or one of several GPUs, like cuda:1.")]
Wandb = Annotated[str | None, typer.Option(help="online, offline or disabled; else WANDB_MODE, else offline.")]
Imports = Annotated[
    list[Path] | None,
    typer.Option(
        "--import",
        help="A Python file that registers methods, tasks or metrics; may be given again.",
        callback=imported,
        is_eager=True,
    ),
]


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


def tell(line: str) -> None:
    """A line of progress, as it is."""
    err.print(line, soft_wrap=True)


def launcher_from(
    word: str, address: str | None, jobs: int | None, root: Place, *, device: str = "cpu", quiet: bool = False
) -> Launcher:
    """What carries jobs out; see `launch.start.launcher_of`."""
    from accord.benchmark.launch.start import launcher_of

    return launcher_of(word, root, err, address=address, jobs=jobs, device=device, quiet=quiet)


def device_from(word: str, launcher: str = "local") -> Device:
    """See that a device is here, or can be where runs are carried out; its kind.

    Args:
        word: What is asked for: cpu, cuda, or one of this machine's GPUs.
        launcher: What carries runs out.

    Raises:
        UsageError: another word, a GPU that is not here, or one of this machine for runs elsewhere.
    """
    from accord.envs.checks import devices_here

    allowed, where = (devices_here(), "on this machine") if launcher == "local" else (DEVICES, f"with {launcher}")
    if word not in allowed:
        raise UsageError(f"--device: '{word}' is not here; allowed {where}: {', '.join(allowed)}")
    return "cpu" if word == "cpu" else "cuda"


def tracking_mode(flag: str | None, root: Place) -> Mode:
    """The mode of W&B: the command line's word, else WANDB_MODE, else offline; offline too where no account is known.

    Args:
        flag: The command line's word.
        root: Where runs are kept, for the message.

    Raises:
        UsageError: a word that is no mode.
    """
    from accord.benchmark.report.tracking import Mode

    word, source = (flag, "--wandb") if flag else (os.environ.get("WANDB_MODE") or "offline", "WANDB_MODE")
    if word not in get_args(Mode):
        raise UsageError(f"{source}: unknown mode '{word}'; allowed: {', '.join(get_args(Mode))}")
    if word == "online" and not _has_account():
        log.warning("W&B: no API key on this machine, so runs are kept offline under %s/wandb", local_folder(root))
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
