"""The harness: specs, suites, runner, evaluation, metrics, statistics, store, report and command line."""

import baselines  # noqa: F401 - registers every method
from benchmark.runner import run

__all__ = ["run"]
