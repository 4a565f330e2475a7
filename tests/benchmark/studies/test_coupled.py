"""Figures of the coupled example show what was logged and what an episode did."""

from pathlib import Path

import numpy as np
import pytest

from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.studies.coupled import BLOCK, _blocks, draw_episodes, draw_learning, episode
from accord.envs.toy.coupled_linear import ADDRESS, STEPS


def curve(seed: int) -> list[dict[str, float]]:
    keys = ("distance_12", "distance_13", "distance_23", "below_bound", "td_error", "stage_cost")
    return [{"steps": 300.0 * (n + 1)} | dict.fromkeys(keys, seed + n + 0.0) for n in range(3 * BLOCK + 4)]


def test_learning_is_drawn_by_blocks_of_updates() -> None:
    figure = draw_learning([curve(0), curve(1)])
    assert len(figure.axes) == 4
    lines = figure.axes[3].get_lines()
    assert [len(line.get_ydata()) for line in lines] == [3, 3, 3]
    middle = np.mean([line.get_ydata() for line in lines[:2]], axis=0)
    assert np.array(lines[2].get_ydata()) == pytest.approx(middle)
    assert np.array(lines[0].get_xdata()) == pytest.approx([0.1 * (5.5 + BLOCK * k) for k in range(3)])
    assert _blocks([1.0, 3.0]) == pytest.approx([2.0])


def test_an_episode_is_that_of_the_runs_controller(tmp_path: Path) -> None:
    rows = episode(resolve_run(RunSpec(method="coupled_mpc", scenario=ADDRESS, seed=0)), Store(tmp_path))
    assert {name: values.shape for name, values in rows.items()} == dict.fromkeys(
        ("input", "position", "velocity"), (STEPS, 3)
    )
    assert np.abs(rows["input"]).max() <= 1
    # x⁺ = A·x + B·u of the second agent, which nothing pushes.
    state, u = np.stack([rows["position"][:, 1], rows["velocity"][:, 1]], -1), rows["input"][:, 1]
    after = state[:-1] @ np.array([[0.91, 0.33], [0.0, 0.98]]).T + u[1:, None] * [0.0611, 0.23]
    assert after == pytest.approx(state[1:], abs=1e-5)
    figure = draw_episodes({"learned": rows, "unlearned": rows})
    assert [len(axes.get_lines()) for axes in figure.axes] == [6, 9, 7, 6]
