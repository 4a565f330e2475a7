"""The command line. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import logging
import platform
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from accord.benchmark.cli.allocation import film, studies
from accord.benchmark.cli.buildings import buildings
from accord.benchmark.cli.districts import new_district
from accord.benchmark.cli.evaluating import evaluate
from accord.benchmark.cli.listing import districts, list_all, methods, metrics, settings, suites
from accord.benchmark.cli.options import out, tell
from accord.benchmark.cli.reproduction import reproduce
from accord.benchmark.cli.runs import publish, report, run, show
from accord.benchmark.cli.tools import audit, profile, scale, scale_quality, store_app, tune
from accord.benchmark.terminal import replace_unprintable
from accord.envs.errors import UsageError

STOPPED = {128 + signal.SIGINT, 128 + signal.SIGTERM}
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
COMMANDS: tuple[Callable[..., None], ...] = (
    *(run, evaluate, report, show, buildings, publish, reproduce),
    *(suites, methods, settings, districts, metrics, new_district),
    *(audit, tune, scale, scale_quality, profile, studies, film),
)
for command in COMMANDS:
    app.command()(command)
app.command(name="list")(list_all)
app.add_typer(store_app, name="store")


def print_version(wanted: bool) -> None:
    """Print the versions that a result depends on most, and leave."""
    if wanted:
        found = (f"{name} {_version(package)}" for name, package in (("accord", "accord-bench"), ("torch", "torch")))
        out.print(", ".join([*found, f"Python {platform.python_version()}"]), soft_wrap=True)
        raise typer.Exit


@app.callback()
def accord(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Versions of what is installed.")
    ] = False,
) -> None:
    """Accord: the benchmark's command line."""


def main() -> None:
    """Entry point: a user's mistake is one line, Ctrl-C is not a crash."""
    replace_unprintable()
    sys.set_int_max_str_digits(0)  # a number of any length gets the line that says which are allowed
    logging.basicConfig(level=logging.WARNING, handlers=[Lines()])
    try:
        refuse_empty(sys.argv[1:])
        app(standalone_mode=True)
    except UsageError as mistake:
        tell(f"error: {mistake}")
        sys.exit(2)
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        tell(f"error: {where}{fault.strerror or fault}")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code in STOPPED:  # the first is what typer makes of a KeyboardInterrupt
            tell("stopped; the same command goes on from here")
        raise


def refuse_empty(words: Sequence[str]) -> None:
    """A word that is empty, or a list of nothing, would read as if it had not been given; an unset variable leaves one.

    Raises:
        UsageError: one of the command line's words is empty.
    """
    for before, word in zip(["", *words], words, strict=False):
        option, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if not value.strip(", \t\n") and ("=" in word or not word.startswith("--")):
            what = option if option.startswith("-") else "an argument"
            raise UsageError(f"{what}: is empty; leave it out, or say what it should be")


class Lines(logging.Handler):
    """What is logged is one line each, however narrow the terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print level and message."""
        tell(f"{record.levelname.lower()}: {record.getMessage()}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
