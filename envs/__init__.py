"""The world: tasks, their PettingZoo face, the communication network, data and the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.envs.errors import UsageError

if __name__ != "accord.envs":
    raise ImportError("import accord.envs: the folder envs/ of Accord is imported under this name alone")

if TYPE_CHECKING:
    from accord.envs.task import Task
    from accord.envs.wrappers.parallel import ParallelTask
    from accord.envs.wrappers.priced import Price
    from accord.envs.wrappers.torchrl import TorchRLTask
    from accord.envs.wrappers.vector import VectorTask

__all__ = ["UsageError", "make", "parallel_env", "torchrl_env", "vector_env"]


def make(address: str, device: str = "cpu", *, price: Price | None = None, discrete: int | None = None) -> Task:
    """The task of a scenario: `make("campus_seven/two_groups/hourly-0.35")`.

    Args:
        address: district / network / budget, or an episodic task like games/two_step; see `envs.catalogue`.
        device: Where every tensor lives.
        price: What rewards pay for the constraints, in mean prices: a number for every budget, numbers by name of a
            budget or `shortfall`, or `drawn` at every reset and observed; see `PricedTask`. None leaves rewards r0.
        discrete: Actions are the points of a grid over the box with so many levels per dimension; see `GridTask`. None
            leaves them as they are.

    Raises:
        UsageError: the address has no meaning, its task needs a package that is not installed, or cannot be changed so;
            or the device is not here.
    """
    # Imported here so that `import envs` alone loads neither data nor torch.
    from accord.envs.catalogue import resolve
    from accord.envs.checks import device_of

    task = resolve(address).task(str(device_of(device)))
    if price is not None:
        from accord.envs.wrappers.priced import PricedTask

        task = PricedTask(task, price)
    if discrete is not None:
        from accord.envs.wrappers.discrete_actions import GridTask

        task = GridTask(task, discrete)
    return task


def parallel_env(
    address: str,
    *,
    start: int | None = None,
    horizon: int | None = None,
    device: str = "cpu",
    price: Price | None = None,
    discrete: int | None = None,
) -> ParallelTask:
    """The task of a scenario as a PettingZoo `ParallelEnv`: `parallel_env("homes_17/ring/average-0.2")`.

    Args:
        address: See `make`.
        start: First hour of every episode; None draws one of the training hours at each reset.
        horizon: Steps of an episode; None takes the task's own.
        device: Where the task's tensors live; observations are numpy arrays.
        price: See `make`.
        discrete: See `make`.

    Raises:
        UsageError: see `make`; or the start or the horizon is no number of steps.
    """
    from accord.envs.wrappers.parallel import ParallelTask

    return ParallelTask(make(address, device, price=price, discrete=discrete), start=start, horizon=horizon)


def vector_env(
    address: str,
    copies: int,
    *,
    start: int | None = None,
    horizon: int | None = None,
    device: str = "cpu",
    price: Price | None = None,
    discrete: int | None = None,
) -> VectorTask:
    """The task of a scenario as a Gymnasium `VectorEnv` in which every agent of every copy is one environment.

    Args:
        address: See `make`.
        copies: Copies of the task, advanced together as one batch.
        start: See `parallel_env`.
        horizon: See `parallel_env`.
        device: Where the task's tensors live; observations are numpy arrays.
        price: See `make`.
        discrete: See `make`.

    Raises:
        UsageError: see `make`; or the copies, the start or the horizon are no such number.
    """
    from accord.envs.wrappers.vector import VectorTask

    return VectorTask(make(address, device, price=price, discrete=discrete), copies, start=start, horizon=horizon)


def torchrl_env(
    address: str,
    copies: int,
    *,
    start: int | None = None,
    horizon: int | None = None,
    device: str = "cpu",
    price: Price | None = None,
    discrete: int | None = None,
) -> TorchRLTask:
    """The task of a scenario as a batched TorchRL `EnvBase`, agents in one group; needs torchrl.

    Args:
        address: See `make`.
        copies: Copies of the task, advanced together as one batch.
        start: See `parallel_env`.
        horizon: See `parallel_env`.
        device: Where every tensor lives.
        price: See `make`.
        discrete: See `make`.

    Raises:
        UsageError: see `vector_env`; or torchrl is not installed.
    """
    try:
        from accord.envs.wrappers.torchrl import TorchRLTask
    except ModuleNotFoundError as error:
        if error.name not in ("torchrl", "tensordict"):
            raise
        raise UsageError("torchrl_env needs the package torchrl: pip install torchrl") from None
    return TorchRLTask(make(address, device, price=price, discrete=discrete), copies, start=start, horizon=horizon)
