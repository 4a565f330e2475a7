"""Accord: a benchmark of constrained cooperative multi-agent reinforcement learning.

`make`, `parallel_env`, `vector_env` and `torchrl_env` give a task by its address, `run` carries out one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accord.envs import UsageError, make, parallel_env, torchrl_env, vector_env

if TYPE_CHECKING:
    from accord.benchmark.launch.runner import run

__all__ = ["UsageError", "make", "parallel_env", "run", "torchrl_env", "vector_env"]


def __getattr__(name: str) -> Any:
    """`run` is loaded when it is first asked for: the harness takes seconds to import, a task does not."""
    if name == "run":
        from accord.benchmark.launch.runner import run

        return run
    raise AttributeError(f"module 'accord' has no attribute '{name}'")
