"""An episode of multi-resource allocation as an animated GIF."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from accord.baselines.rollout import begin
from accord.benchmark.launch.training import controller_of
from accord.benchmark.places import Place
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import RunSpec
from accord.envs.allocation.animation import animate
from accord.envs.allocation.dynamics import STEPS, ResourceAllocation
from accord.envs.task import Step


def film_episode(spec: RunSpec, path: Path, root: Place) -> float:
    """Write an episode of a run's policy, which is trained first if the store has none.

    Args:
        spec: A run on multi-resource allocation; its seed is that of the episode too.
        path: The GIF.
        root: Where scratch runs are kept.

    Returns:
        The episode's return, summed over agents.
    """
    run = resolve_run(spec)
    task = run.scenario.task()
    assert isinstance(task, ResourceAllocation)
    controller, network = controller_of(run, Store(root), run.scenario), run.scenario.network()
    generator = seeded(spec.seed, "evaluate")
    begin(task, controller, network, 1, generator)

    def act(step: Step) -> Tensor:
        assert step.links is not None
        network.move(step.links)
        return controller.act(step)

    with torch.inference_mode():
        return animate(task, act, path, generator, STEPS)
