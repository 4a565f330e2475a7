"""What tests of trainings share: a checkpoint in memory, a way to train by name, and exact comparison."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from accord.baselines import make_method
from accord.baselines.base import Controller, Effort, NoCheckpoint
from accord.envs.catalogue import resolve


class Kept:
    """A checkpoint in memory that can be cut off after some saves."""

    def __init__(self, states: list[dict[str, Any]] | None = None) -> None:
        self.states = states or []

    def load(self) -> dict[str, Any] | None:
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, Any]) -> None:
        self.states.append(copied(state))

    def snapshot(self, *_: object) -> None:
        """Keep nothing."""


def copied(value: Any) -> Any:
    """A deep copy, as a file would give."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, Mapping):
        return {name: copied(part) for name, part in value.items()}
    return [copied(part) for part in value] if isinstance(value, list) else value


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested states are not equal bit for bit."""
    if isinstance(one, Tensor):
        return [] if torch.equal(one, other) else [path]
    if isinstance(one, Mapping):
        if one.keys() != other.keys():
            return [path]
        return [found for key in one for found in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list):
        if len(one) != len(other):
            return [path]
        return [
            found for i, pair in enumerate(zip(one, other, strict=True)) for found in differences(*pair, f"{path}/{i}")
        ]
    return [] if one == other else [path]


def train(
    name: str, address: str, settings: dict[str, Any], steps: int, seed: int = 0, checkpoint: Any = None
) -> tuple[Controller, list[dict[str, float]]]:
    """Train a method by name; the controller and the rows of its log."""
    scenario, rows = resolve(address), list[dict[str, float]]()
    controller = make_method(name, settings).train(
        scenario.task(),
        scenario.network(),
        Effort(steps, 1e9),
        torch.Generator().manual_seed(seed),
        lambda row: rows.append(dict(row)),
        checkpoint or NoCheckpoint(),
    )
    return controller, rows
