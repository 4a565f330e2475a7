"""Steps of parameters, on a chain of two states whose values are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from accord.baselines.control.plan_learning import Best, Episode, LearningConfig, Sample, Values, _Memory, update

Array = NDArray[np.float64]
GAMMA = 0.9
COSTS = (1.0, 3.0)  # of states 0 and 1, which follow each other
# v0 = 1 + γ·v1 and v1 = 3 + γ·v0
TRUE = np.array([COSTS[0] + GAMMA * COSTS[1], COSTS[1] + GAMMA * COSTS[0]]) / (1 - GAMMA**2)


class Chain(Values):
    """A value for each state."""

    def __init__(self) -> None:
        self._vector = np.zeros(2)

    @property
    def vector(self) -> Array:
        return self._vector

    @property
    def discount(self) -> float:
        return GAMMA

    def take(self, vector: Array) -> None:
        self._vector = vector

    def best(self, state: Array, action: Array | None = None) -> Best:
        at = int(state[0])
        return Best(float(self._vector[at]), np.zeros(1), np.eye(2)[at], np.zeros(0))


def samples() -> list[Sample]:
    return [(np.array([float(s)]), np.zeros(1), COSTS[s], np.array([1.0 - s])) for s in (0, 1)]


def config(**settings: float | str) -> LearningConfig:
    return LearningConfig.model_validate({"gamma": GAMMA, "ridge": 1e-12, "most": 1e3} | settings)


def test_least_squares_finds_the_values_in_one_step() -> None:
    values = Chain()
    first = update(values, config(update="least_squares", step=1.0), samples(), 0)
    assert first == pytest.approx(COSTS)
    assert values.vector == pytest.approx(TRUE, rel=1e-6)
    assert update(values, config(), samples(), 0) == pytest.approx([0.0, 0.0], abs=1e-6)


def test_gauss_newton_takes_the_next_values_for_true_and_comes_nearer_by_the_discount() -> None:
    values, distances = Chain(), []
    for _ in range(40):
        update(values, config(step=1.0, decay=1.0), samples(), 0)
        distances.append(float(np.abs(values.vector - TRUE).max()))
    assert np.array(distances[1:]) / distances[:-1] == pytest.approx(GAMMA, rel=1e-6)


def test_the_printed_step_follows_the_error() -> None:
    values = Chain()
    update(values, config(update="first_order", alpha=0.1), samples(), 0)
    assert values.vector == pytest.approx(0.1 * np.array(COSTS) / 2)


def test_steps_are_cut_and_decay() -> None:
    values = Chain()
    update(values, config(step=1.0, most=0.05), samples(), 0)
    assert values.vector == pytest.approx([0.05, 0.05])
    late = Chain()
    update(late, config(step=1.0, decay=0.5), samples(), 2)
    assert late.vector == pytest.approx(0.25 * np.array(COSTS), rel=1e-2)


class Counting(Episode):
    """An episode whose states are numbered."""

    def __init__(self) -> None:
        self.state = np.zeros(1)

    def step(self, plan: Best, noise: Callable[[int], Array]) -> tuple[Array, float, Array]:
        self.state = self.state + 1
        return np.zeros(1), float(self.state[0]), self.state


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_no_more_samples_are_remembered_than_asked_for(capacity: int) -> None:
    memory, episode, generator = _Memory(capacity, Chain()), Counting(), torch.Generator().manual_seed(0)
    memory._values.best = lambda state: None  # type: ignore[assignment, misc, return-value]
    for _ in range(10):
        memory.collect(episode, config(), 0, generator)
    assert [sample[2] for sample in memory.newest(100)] == [*range(11 - capacity, 11)]
