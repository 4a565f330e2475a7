"""The command line. A user's mistake is one line on standard error and exit status 2."""

from __future__ import annotations

import logging
import sys

import typer
from rich.logging import RichHandler

from accord.benchmark.cli.allocation import film, studies
from accord.benchmark.cli.listing import list_all
from accord.benchmark.cli.options import err
from accord.benchmark.cli.reproduction import reproduce
from accord.benchmark.cli.runs import publish, report, run, show
from accord.benchmark.cli.tools import audit, profile, scale, scale_quality, tune
from accord.benchmark.terminal import replace_unprintable
from accord.envs.errors import UsageError

INTERRUPTED = 130
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Accord: the benchmark's command line.",
)
app.command()(run)
app.command(name="list")(list_all)
for command in (show, report, publish, reproduce, tune, audit, scale, scale_quality, profile, studies, film):
    app.command()(command)


def main() -> None:
    """Entry point: a user's mistake is one line, Ctrl-C is not a crash."""
    replace_unprintable()
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_time=False, show_path=False)],
    )
    try:
        app(standalone_mode=True)
    except UsageError as mistake:
        err.print(f"error: {mistake}", soft_wrap=True)
        sys.exit(2)
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        err.print(f"error: {where}{fault.strerror or fault}", soft_wrap=True)
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt
            err.print("stopped; the same command goes on from here")
        raise
