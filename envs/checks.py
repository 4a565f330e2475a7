"""What every task refuses: resets, plants, devices and actions that it could only take for something else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral

import torch
from torch import Tensor

from accord.envs.errors import UsageError, quoted
from accord.envs.task import Initial, TaskSpec

LOOKED_AT = 24  # of so many steps the plant is looked at after one


def check_reset(spec: TaskSpec, batch: int, horizon: float | None) -> None:
    """Refuse what no episode can begin with.

    Raises:
        UsageError: no copies, or no steps.
    """
    for name, value in (("batch", batch), ("horizon", horizon)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
            raise UsageError(f"{name} {quoted(value)}: allowed for '{spec.name}' are whole numbers from 1")


def plant_of(spec: TaskSpec, initial: Initial, batch: int) -> dict[str, Tensor] | None:
    """The plant's state that a reset is given by name, each [B, N] in float32; None where it is a word.

    Raises:
        UsageError: another word, not exactly the measures of `spec.plant`, or not a finite number for each agent.
    """
    words = " or ".join(["'zero', 'random'", *([" and ".join(spec.plant)] if spec.plant else [])])
    if isinstance(initial, str) and initial in ("zero", "random"):
        return None
    if not isinstance(initial, Mapping) or set(initial) != set(spec.plant):
        found = f"{', '.join(map(str, initial))} is given" if isinstance(initial, Mapping) else quoted(initial)
        raise UsageError(f"initial: {found}; allowed for '{spec.name}': {words}")
    plant = {}
    for name, value in initial.items():
        try:
            plant[name] = torch.as_tensor(value).to(spec.device, torch.float32).expand(batch, spec.n_agents).clone()
        except (TypeError, ValueError, RuntimeError):
            shape = f"[{spec.n_agents}] or {[batch, spec.n_agents]}"
            raise UsageError(f"initial: '{name}' is {quoted(value)}; allowed: numbers of shape {shape}") from None
        if not bool(plant[name].isfinite().all()):
            raise UsageError(f"initial: '{name}' has a number that is not finite; allowed: finite ones")
    return plant


def devices_here() -> list[str]:
    """Devices of this machine that everything runs on: cpu, and where there are GPUs cuda and each by its number."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *(["cuda"] if count else []), *(f"cuda:{number}" for number in range(count))]


def device_of(device: object) -> torch.device:
    """A device on this machine.

    Raises:
        UsageError: it is none, or not here.
    """
    try:
        found = torch.device(device)  # type: ignore[call-overload]
        found = torch.empty(0, device=found).device  # of several the current one, by its number
    except (TypeError, ValueError, RuntimeError, AssertionError, OverflowError):
        found = None
    if found is None or found.type == "meta":  # whose tensors hold nothing
        allowed = ", ".join(devices_here())
        raise UsageError(f"device {quoted(device)}: is not here; allowed on this machine: {allowed}")
    return found


def check_actions(spec: TaskSpec, actions: Tensor, batch: int | None) -> None:
    """Refuse actions that would be spread over agents they are not of; whether they are numbers, `check_plant` sees.

    Args:
        spec: The task's.
        actions: As they are given.
        batch: Copies since the last reset; None before the first.

    Raises:
        UsageError: there was no reset, or actions are not [B, N, A].
    """
    if batch is None:
        raise UsageError(f"task '{spec.name}': step comes after reset")
    wanted = batch, spec.n_agents, spec.action.size
    if tuple(actions.shape) != wanted:
        raise UsageError(f"actions of shape {list(actions.shape)}: '{spec.name}' takes {list(wanted)}")


def check_plant(spec: TaskSpec, plant: Tensor, elapsed: int, horizon: int) -> None:
    """Refuse actions that are no numbers, by what they left.

    What is no number stays so in the plant: looking at it every few steps costs next to nothing, where looking at
    every step's actions would not. An accelerator has to be waited for, so there it is looked at once an episode.

    Args:
        spec: The task's.
        plant: What changes with actions and is never set anew within an episode, [B, N] or [B, N, ...].
        elapsed: Steps of the episode, the one just taken included.
        horizon: Steps of the whole episode.

    Raises:
        UsageError: a number of the plant is not finite.
    """
    if elapsed < horizon and (elapsed % LOOKED_AT or not plant.is_cpu):
        return
    if math.isfinite(plant.detach().sum()):
        return
    wrong = (~torch.isfinite(plant)).nonzero().tolist()
    if wrong:  # else finite numbers have a sum that is not
        copy, agent, *_ = wrong[0]
        where = f"agent {agent} in copy {copy}, as seen after step {elapsed}"
        raise UsageError(f"actions that are not finite: {where}; '{spec.name}' takes finite numbers")
