"""The harness: specs, suites, runner, evaluation, metrics, statistics, store, report and command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if __name__ != "accord.benchmark":
    raise ImportError("import accord.benchmark: the folder benchmark/ of Accord is imported under this name alone")

if TYPE_CHECKING:
    from accord.benchmark.launch.runner import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """`run` is loaded when it is first asked for: torch takes seconds, and `accord --help` needs none of it."""
    if name == "run":
        from accord.benchmark.launch.runner import run

        return run
    raise AttributeError(f"module 'accord.benchmark' has no attribute '{name}'")
