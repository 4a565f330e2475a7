"""The loop that every trunk trains in: episodes of rollouts, each followed by an update, until the effort is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch

from accord.baselines.base import Training
from accord.baselines.training.environment import Environment, Observation
from accord.baselines.training.progress import Progress, Stateful


class Learner(Protocol):
    """What differs between trunks.

    Attributes:
        lr: First step size of the optimiser; it falls over the training.
        parameters: Number of trainable parameters.
    """

    lr: float
    parameters: int

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """What takes the steps."""

    def kept(self) -> Mapping[str, Stateful]:
        """What a checkpoint holds of it."""

    def begin(self) -> None:
        """An episode begins: memories start anew."""

    def collect(self, seen: Observation, fraction: float) -> Observation:
        """Act for a rollout, when a share of the effort is spent; what is seen after it."""

    def update(self, fraction: float) -> Mapping[str, float]:
        """Learn from what was collected; numbers for the log."""


class Callback(Protocol):
    """What happens beside the learning, such as a dual ascent."""

    def steps_per_rollout(self, groups: int) -> int:
        """Agent-steps that it takes beside each rollout of `groups` copies: they count as training."""

    def after_rollout(self, fraction: float) -> Mapping[str, float]:
        """The share of the effort that is spent; numbers for the log."""

    def companions(self) -> Mapping[str, Stateful]:
        """What a checkpoint holds of it."""


class NoCallback:
    """Nothing happens beside the learning."""

    def steps_per_rollout(self, groups: int) -> int:
        """No steps."""
        return 0

    def after_rollout(self, fraction: float) -> dict[str, float]:
        """No numbers."""
        return {}

    def companions(self) -> dict[str, Stateful]:
        """Nothing to keep."""
        return {}


def train(
    env: Environment,
    learner: Learner,
    training: Training,
    *,
    steps_per_rollout: int,
    rollouts_per_episode: int,
    learned: Callable[[], dict[str, Any]],
    callback: Callback | None = None,
    saves: int | None = None,
) -> tuple[int, float]:
    """Train until `effort.steps` agent-steps or `effort.seconds` are spent.

    A checkpoint holds everything that the next episode depends on, so an interrupted training goes on bit for bit.

    Args:
        env: What to learn in.
        learner: What learns.
        training: Effort, draws, log and checkpoint.
        steps_per_rollout: Of the task, in each copy.
        rollouts_per_episode: After so many the environment is reset.
        learned: What a controller needs of what was learned, for snapshots.
        callback: What happens beside the learning.
        saves: Checkpoints over the whole training, where they are large; None for one after each episode.

    Returns:
        Agent-steps done and seconds spent, those before an interruption included.
    """
    callback = callback or NoCallback()
    learned_per_rollout = env.groups * env.agents * steps_per_rollout
    per_rollout = learned_per_rollout + callback.steps_per_rollout(env.groups)
    rollouts = -(-training.effort.steps // per_rollout)
    kept = {"env": env, **learner.kept(), **callback.companions()}
    progress = Progress(training.checkpoint, training.generator, kept)
    clock = progress.clock
    if progress.done:
        env.anneal(progress.done / rollouts)
    while progress.done < rollouts and clock.spent < training.effort.seconds:
        clock.start()
        seen = env.reset()
        learner.begin()
        clock.collected()
        for _ in range(min(rollouts_per_episode, rollouts - progress.done)):
            fraction = progress.done / rollouts
            clock.start()
            seen = learner.collect(env.refresh(seen), fraction)
            clock.collected()
            _decay_lr(learner.optimiser, learner.lr, fraction)
            numbers = learner.update(fraction)
            clock.updated()
            progress.done += 1
            fraction, steps = progress.done / rollouts, progress.done * per_rollout
            env.anneal(fraction)
            numbers = {**numbers, **callback.after_rollout(fraction), "parameters": learner.parameters}
            counted = {"steps": steps, "learned_steps": progress.done * learned_per_rollout}
            training.log({**counted, **clock.read(), **env.measures(), **numbers})
        # First, so that an interruption between the two loses no point of the curve.
        training.checkpoint.snapshot(fraction, steps, clock.spent, learned)
        progress.save(of=rollouts, saves=saves)
    return progress.done * per_rollout, clock.spent


def _decay_lr(optimiser: torch.optim.Optimizer, first: float, fraction: float) -> None:
    """Adam's step size falls linearly from `first` to a tenth of it, by the share of the effort that is spent."""
    for group in optimiser.param_groups:
        group["lr"] = first * (1 - 0.9 * fraction)
