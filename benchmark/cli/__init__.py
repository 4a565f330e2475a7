"""The command line."""

from accord.benchmark.cli.runs import main

__all__ = ["main"]
