"""Q-learning with plans as value functions, of whatever is planned (Esfahani and Gros).

With the temporal difference δ = L + γ·V(s⁺) − Q(s, a) and g = ∂Q/∂θ, every batch of fresh and replayed samples takes a
step

    θ ← θ + clip(η·(H + ridge·(diag H + 1e-3))⁻¹·mean(δ·g), ±most),        H = mean(g·gᵀ)

of Gauss and Newton, or with H = mean(g·(g − γ·∂V(s⁺)/∂θ)ᵀ), which aims where mean(δ·g) is zero: temporal differences
by least squares (Bradtke and Barto). The printed step, θ ← θ + α·δ·g, eq. (22), is `update: first_order`, an ablation.
V and Q are minima of programmes, and the policy is the beginning of V's plan, with Gaussian exploration.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from accord.baselines.base import MethodConfig, Training
from accord.baselines.training.progress import Progress

Array = NDArray[np.float64]
Update = Literal["gauss_newton", "least_squares", "first_order"]
SAVES = 20  # checkpoints of a training


class LearningConfig(MethodConfig):
    """Settings of learning."""

    gamma: float = Field(0.9, gt=0, le=1, description="Discount per step.")
    update: Update = Field("gauss_newton", description="How parameters are moved: see the module.")
    alpha: float = Field(1e-7, gt=0, description="first_order: step.")
    step: float = Field(0.3, gt=0, le=1, description="Not first_order: share of the step that is taken.")
    decay: float = Field(0.985, gt=0, le=1, description="What `step` is multiplied by after every update.")
    ridge: float = Field(0.01, gt=0, description="Not first_order: weight of the diagonal of H.")
    most: float = Field(0.05, gt=0, description="Not first_order: most that a parameter moves in one update.")
    batch: int = Field(100, ge=1, description="Fresh samples of an update, one episode; as many are replayed.")
    memory: int = Field(5000, ge=1, description="Samples that may be replayed, the last ones.")
    explore: float = Field(0.1, ge=0, description="Standard deviation of exploration in the end.")
    explore_more: float = Field(0.2, ge=0, description="What it has on top at first, falling by e in `explore_for`.")
    explore_for: float = Field(5000.0, gt=0, description="Samples in which it does.")


@dataclass(frozen=True)
class Best:
    """The best plan from a state, or from a state and an action.

    Attributes:
        value: V or Q.
        action: What it begins with.
        gradient: Derivative of the value by the parameters, [P].
        prices: Of shared budgets, where there are any, [m].
    """

    value: float
    action: Array
    gradient: Array
    prices: Array


class Values(ABC):
    """V and Q as minima of parametric programmes."""

    @property
    @abstractmethod
    def vector(self) -> Array:
        """The parameters, [P]."""

    @property
    @abstractmethod
    def discount(self) -> float:
        """What the next state's value counts."""

    @abstractmethod
    def take(self, vector: Array) -> None:
        """Go on with these, or with the nearest that are allowed."""

    @abstractmethod
    def best(self, state: Array, action: Array | None = None) -> Best:
        """V and its plan; Q where the action is given."""


class Episode(ABC):
    """Where samples come from.

    Attributes:
        state: The present one.
    """

    state: Array

    @abstractmethod
    def step(self, plan: Best, noise: Callable[[int], Array]) -> tuple[Array, float, Array]:
        """Carry out how a plan begins, with noise of so many numbers; moves `state` on.

        Returns:
            What was carried out, the stage cost, and the state whose value follows it.
        """

    def summary(self) -> dict[str, float]:
        """For the log, once it is over."""
        return {}


Sample = tuple[Array, Array, float, Array]  # state, action, stage cost, next state


def learn(
    values: Values,
    config: LearningConfig,
    begin: Callable[[torch.Generator], Episode],
    agents: int,
    training: Training,
    state_dict: Callable[[], dict[str, Any]],
) -> None:
    """Q-learning in episodes of `batch` steps.

    Args:
        values: What learns.
        config: How.
        begin: Makes an episode.
        agents: How many take each step.
        training: Effort, generator, log and checkpoint.
        state_dict: What a snapshot keeps.
    """
    memory = _Memory(config.memory, values)
    progress = Progress(training.checkpoint, training.generator, {"memory": memory})
    updates = max(1, math.ceil(training.effort.steps / (agents * config.batch)))
    while progress.done < updates and progress.clock.spent < training.effort.seconds:
        progress.clock.start()
        episode = begin(training.generator)
        costs = [
            memory.collect(episode, config, progress.done * config.batch + k, training.generator)
            for k in range(config.batch)
        ]
        progress.clock.collected()
        fresh = memory.newest(config.batch)
        samples = [*fresh, *memory.drawn(config.batch, training.generator)]
        errors = update(values, config, samples, progress.done)
        progress.clock.updated()
        progress.done += 1
        steps = progress.done * config.batch * agents
        told = {"stage_cost": float(np.mean(costs)), "td_error": float(np.abs(errors[: len(fresh)]).mean())}
        training.log({"steps": steps, **progress.clock.read(), **told, **episode.summary()})
        training.checkpoint.snapshot(progress.done / updates, steps, progress.clock.spent, state_dict)
        progress.save(updates, SAVES)


def update(values: Values, config: LearningConfig, samples: list[Sample], updates: int) -> Array:
    """One step of the parameters; temporal differences of the samples.

    Args:
        values: Whose.
        config: How.
        samples: Fresh and replayed ones.
        updates: How many steps there were.
    """
    errors, gradients, changes = [], [], []
    for state, action, cost, following in samples:
        found, then = values.best(state, action), values.best(following)
        errors.append(cost + values.discount * then.value - found.value)
        gradients.append(found.gradient)
        changes.append(found.gradient - values.discount * then.gradient)
    delta, g = np.array(errors), np.stack(gradients)
    moved = (delta[:, None] * g).mean(0)
    if config.update == "first_order":
        change = config.alpha * moved
    else:
        curvature = g.T @ (g if config.update == "gauss_newton" else np.stack(changes)) / len(g)
        curvature += config.ridge * np.diag(np.abs(np.diag(curvature)) + 1e-3)
        change = config.step * config.decay**updates * np.linalg.solve(curvature, moved)
        change = change.clip(-config.most, config.most)
    values.take(values.vector + change)
    return delta


class _Memory:
    """The last samples; a checkpoint keeps them with the parameters."""

    def __init__(self, capacity: int, values: Values) -> None:
        self._values, self._samples = values, deque[Sample](maxlen=capacity)

    def collect(self, episode: Episode, config: LearningConfig, before: int, generator: torch.Generator) -> float:
        """A step of an episode; its cost."""
        spread = config.explore + config.explore_more * np.exp(-before / config.explore_for)

        def noise(count: int) -> Array:
            return np.asarray(spread * torch.randn(count, generator=generator, dtype=torch.float64).numpy())

        state = episode.state
        action, cost, following = episode.step(self._values.best(state), noise)
        self._samples.append((state, action, cost, following))
        return cost

    def newest(self, count: int) -> list[Sample]:
        """The last ones."""
        return list(self._samples)[-count:]

    def drawn(self, count: int, generator: torch.Generator) -> list[Sample]:
        """Any, with replacement."""
        return [self._samples[i] for i in torch.randint(len(self._samples), (count,), generator=generator).tolist()]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        columns = zip(*self._samples, strict=True)
        samples = [torch.from_numpy(np.array(column)) for column in columns]
        return {"samples": samples, "parameters": torch.from_numpy(self._values.vector)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from one."""
        states, actions, costs, following = (column.numpy() for column in state["samples"])
        self._samples.clear()
        self._samples.extend(zip(states, actions, costs.tolist(), following, strict=True))
        self._values.take(state["parameters"].double().numpy())
