"""The harness: specs, suites, runner, evaluation, metrics, statistics, store, report and command line."""

import accord.baselines  # noqa: F401 - registers every method
from accord.benchmark.launch.runner import run

__all__ = ["run"]
