"""The harness: specs, suites, runner, evaluation, metrics, statistics, store, report and command line."""

import accord.baselines  # noqa: F401 - registers every method
from accord.benchmark.launch.runner import run

if __name__ != "accord.benchmark":
    raise ImportError("import accord.benchmark: the folder benchmark/ of Accord is imported under this name alone")

__all__ = ["run"]
