"""The command line."""

from accord.benchmark.cli.main import main

__all__ = ["main"]
