"""A way to train by name, for tests of trainings."""

from typing import Any

import torch

from accord.baselines import make_method
from accord.baselines.base import Controller, Effort, NoCheckpoint, Training
from accord.envs.catalogue import resolve


def train(
    name: str,
    address: str,
    settings: dict[str, Any],
    steps: int,
    seed: int = 0,
    checkpoint: Any = None,
    *,
    tuned: bool = True,
) -> tuple[Controller, list[dict[str, float]]]:
    """Train a method by name; the controller and the rows of its log."""
    scenario, rows = resolve(address), list[dict[str, float]]()
    training = Training(
        Effort(steps, 1e9),
        torch.Generator().manual_seed(seed),
        lambda row: rows.append(dict(row)),
        checkpoint or NoCheckpoint(),
    )
    return make_method(name, settings, tuned=tuned).train(scenario.task(), scenario.network(), training), rows
