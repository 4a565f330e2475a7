"""Games whose right answers are known: Q tables of the QMIX paper, least squares, and the EPyMARL paper's returns."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from helpers.training import train
from torch import Tensor

from accord.baselines import make_method
from accord.baselines.base import Controller, RolloutStart
from accord.baselines.testing import MemoryCheckpoint
from accord.benchmark.specs.suite import load_suite
from accord.envs import make
from accord.envs.network import Network

ROOT = Path(__file__).parents[3]
LEARNERS = ("ippo", "mappo", "iql", "vdn", "qmix")
ROUNDS = 100  # of collecting, where every action is equally likely


def published(game: str, method: str) -> dict[str, Any]:
    """The settings that the suite `validation` has for a game."""
    entries = load_suite("validation").entries
    return next(e.variants[""] for e in entries if game in e.scenarios and method in e.methods)


def steps_of(settings: dict[str, Any], rounds: int) -> int:
    length = settings.get("sequence") or settings["ppo"]["rollout_steps"]
    return int(rounds * settings["lanes"] * length)


@torch.no_grad()
def greedy_return(controller: Controller, address: str) -> float:
    task, generator = make(address), torch.Generator()
    controller.reset(RolloutStart(task.spec, Network.build("complete", 2), 1, generator))
    step, total = task.reset(1, generator), 0.0
    for _ in range(task.spec.horizon):
        step = task.step(controller.act(step))
        controller.feedback(step)
        total += float(step.reward.sum())
    return total


def learn_tables(name: str, address: str, settings: dict[str, Any], seed: int) -> tuple[float, list[Tensor]]:
    """Greedy return, and the team's value [n, n] of every joint action in every state."""
    kept, task = MemoryCheckpoint(), make(address)
    controller, _ = train(name, address, settings, steps_of(settings, ROUNDS), seed, kept)
    values = make_method(name, settings)._parts(task, torch.Generator()).model  # type: ignore[attr-defined]
    values.load_state_dict(kept.states[-1]["kept"]["learner"]["values"])
    n, states = task.spec.action.n, torch.eye(task.spec.state_dim)
    joint = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    with torch.no_grad():
        every, _ = values.agent.values(states[None, :, None].expand(1, -1, 2, -1), None)  # [1, S, 2, n]
        chosen = torch.stack([every[0, :, agent, joint[:, agent]] for agent in (0, 1)], -1)  # [S, n², 2]
        mixed = values.mix(chosen.transpose(0, 1), states.expand(n * n, -1, -1))
    return greedy_return(controller, address), list(mixed.squeeze(-1).T.unflatten(1, (n, n)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("name", "best", "first", "risky"),
    [
        ("vdn", 7.0, [[6.93, 6.93], [6.43, 6.43]], [[-1.5, 2.5], [2.5, 6.5]]),
        ("qmix", 8.0, [[6.93, 6.93], [7.92, 7.92]], [[0.0, 1.0], [1.0, 8.0]]),
    ],
)
def test_the_two_step_game_is_learned_as_published(
    name: str, best: float, first: list[list[float]], risky: list[list[float]], seed: int
) -> None:
    greedy, tables = learn_tables(name, "games/two_step", published("games/two_step", name), seed)
    assert greedy == best
    for table, expected in zip(tables, (first, [[7.0, 7.0], [7.0, 7.0]], risky), strict=True):
        torch.testing.assert_close(table, torch.tensor(expected), atol=0.2, rtol=0.0)


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [
        ("vdn", [[-6.22, -4.89, -4.89], [-4.89, -3.56, -3.56], [-4.89, -3.56, -3.56]], 0.2),
        # No monotonic table has a best corner and two zeros: it gives the corner up, at the mean of its cross.
        ("qmix", [[-8.0, -8.0, -8.0], [-8.0, 0.0, 0.0], [-8.0, 0.0, 0.0]], 0.4),
    ],
)
def test_neither_a_sum_nor_a_monotonic_mixer_finds_a_payoff_between_penalties(
    name: str, expected: list[list[float]], tolerance: float, seed: int
) -> None:
    one_step = {"policies": "shared", "sequence": 1, "lanes": 2048, "batch": 4096, "buffer": 2**16, "lr": 3e-3}
    settings = published("games/two_step", name) | one_step
    greedy, (table,) = learn_tables(name, "games/qtran", settings, seed)
    assert greedy == 0.0
    torch.testing.assert_close(table, torch.tensor(expected), atol=tolerance, rtol=0.0)


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("game", "least", "rounds"), [("climbing", 175.0, 120), ("penalty_25", 50.0, 40)])
def test_repeated_games_are_played_as_well_as_published(
    game: str, least: float, rounds: int, name: str, seed: int
) -> None:
    address = f"games/{game}"
    settings = published(address, name)
    controller, _ = train(name, address, settings, steps_of(settings, rounds), seed)
    assert greedy_return(controller, address) >= least


@pytest.mark.parametrize(
    ("game", "method", "least", "most"),
    [
        ("two_step", "vdn", 7.0, 7.0),
        ("two_step", "qmix", 8.0, 8.0),
        *(("climbing", name, 175.0, 275.0) for name in LEARNERS),
        *(("penalty_25", name, 50.0, 250.0) for name in LEARNERS),
    ],
)
def test_every_published_training_of_a_game_has_the_known_return(
    game: str, method: str, least: float, most: float
) -> None:
    """The trainings above are few; those of the suite `validation` are all of its seeds."""
    table = pd.read_parquet(ROOT / "results" / "validation" / "runs.parquet")
    returns = table[(table["scenario"] == f"games/{game}") & (table["method"] == method)]["episode_return"]
    assert len(returns) >= 3
    assert returns.between(least, most).all()
