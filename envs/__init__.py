"""The world: tasks, their PettingZoo face, the communication network, data and the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.envs.errors import UsageError

if __name__ != "accord.envs":
    raise ImportError("import accord.envs: the folder envs/ of Accord is imported under this name alone")

if TYPE_CHECKING:
    from accord.envs.task import Task
    from accord.envs.wrappers.parallel import ParallelTask

__all__ = ["UsageError", "make", "parallel_env"]


def make(address: str, device: str = "cpu") -> Task:
    """The task of a scenario: `make("campus_seven/two_groups/hourly-0.35")`.

    Args:
        address: district / network / budget, or an episodic task like games/two_step; see `envs.catalogue`.
        device: Where every tensor lives.

    Raises:
        UsageError: the address has no meaning, or its task needs a package that is not installed.
    """
    # Imported here so that `import envs` alone loads neither data nor torch.
    from accord.envs.catalogue import resolve

    return resolve(address).task(device)


def parallel_env(
    address: str, *, start: int | None = None, horizon: int | None = None, device: str = "cpu"
) -> ParallelTask:
    """The task of a scenario as a PettingZoo `ParallelEnv`: `parallel_env("homes_17/ring/average-0.2")`.

    Args:
        address: district / network / budget, or an episodic task like games/two_step; see `envs.catalogue`.
        start: First hour of every episode; None draws one of the training hours at each reset.
        horizon: Hours of an episode; None takes the task's own.
        device: Where the task's tensors live; observations are numpy arrays.

    Raises:
        UsageError: the address has no meaning, or its task needs a package that is not installed.
    """
    from accord.envs.wrappers.parallel import ParallelTask

    return ParallelTask(make(address, device), start=start, horizon=horizon)
