import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

import accord.envs
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.task import Step, Task

ADDRESSES = ("games/two_step", "games/qtran", "games/climbing", "games/penalty_25")


def play(task: Task, *joint: tuple[int, int]) -> tuple[float, list[Step]]:
    """Return of joint actions in one copy, and every step."""
    steps = [task.reset(1, torch.Generator())]
    steps += [task.step(torch.tensor(actions).view(1, 2, 1)) for actions in joint]
    return float(sum(step.reward.sum() for step in steps)), steps


@pytest.mark.parametrize(
    ("first", "second", "payoff"),
    [
        *[((0, other), choice, 7.0) for other in (0, 1) for choice in ((0, 0), (0, 1), (1, 0), (1, 1))],
        *[((1, other), (0, 0), 0.0) for other in (0, 1)],
        ((1, 0), (0, 1), 1.0),
        ((1, 0), (1, 0), 1.0),
        ((1, 1), (1, 1), 8.0),
    ],
)
def test_in_the_two_step_game_agent_0_alone_chooses_what_is_played(
    first: tuple[int, int], second: tuple[int, int], payoff: float
) -> None:
    total, steps = play(accord.envs.make("games/two_step"), first, second)
    assert total == payoff
    assert [step.obs[0].tolist() for step in steps[:2]] == [[[1, 0, 0]] * 2, [[0, 1 - first[0], first[0]]] * 2]
    assert [bool(step.terminated) for step in steps] == [False, False, True]
    assert not any(step.truncated.any() for step in steps)
    assert not steps[-1].alive.any()


def test_both_agents_earn_half_and_the_state_is_what_they_see() -> None:
    task = accord.envs.make("games/two_step")
    task.reset(2, torch.Generator())
    step = task.step(torch.tensor([[[0], [0]], [[1], [0]]]))
    assert torch.equal(task.state(), torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert torch.equal(step.obs, task.state()[:, None].expand(2, 2, 3))
    step = task.step(torch.tensor([[[0], [1]], [[1], [1]]]))
    assert step.reward.tolist() == [[3.5, 3.5], [4.0, 4.0]]


@pytest.mark.parametrize(
    ("address", "table"),
    [
        ("games/qtran", [[8, -12, -12], [-12, 0, 0], [-12, 0, 0]]),
        ("games/climbing", [[11, -30, 0], [-30, 7, 0], [0, 6, 5]]),
        ("games/penalty_0", [[0, 0, 10], [0, 2, 0], [10, 0, 0]]),
        ("games/penalty_2.5", [[-2.5, 0, 10], [0, 2, 0], [10, 0, -2.5]]),
    ],
)
def test_a_step_pays_what_the_table_says(address: str, table: list[list[float]]) -> None:
    task = accord.envs.make(address)
    joint = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    task.reset(9, torch.Generator())
    assert task.step(joint[..., None]).reward.sum(1).view(3, 3).tolist() == table


def test_one_step_games_end_and_repeated_ones_are_cut() -> None:
    total, steps = play(accord.envs.make("games/qtran"), (0, 0))
    assert total == 8
    assert bool(steps[-1].terminated)
    total, steps = play(accord.envs.make("games/climbing"), *[(0, 0)] * 25)
    assert total == 275
    assert [bool(step.truncated) for step in steps] == [False] * 25 + [True]
    assert not steps[-1].terminated.any()
    assert steps[-1].alive.all()  # cut by the clock, so their values go on


def test_after_its_end_a_game_pays_nothing() -> None:
    for address in ("games/qtran", "games/climbing"):
        task = accord.envs.make(address)
        optimum, steps = play(task, *[(0, 0)] * (task.spec.horizon + 1))
        assert optimum == resolve(address).references["optimum"]
        assert not steps[-1].alive.any()


@pytest.mark.parametrize(
    ("address", "random", "optimum"),
    [
        ("games/two_step", 4.75, 8.0),
        ("games/qtran", -40 / 9, 8.0),
        ("games/climbing", -775 / 9, 275.0),
        ("games/penalty_25", -700 / 9, 250.0),
    ],
)
def test_known_returns_follow_from_the_tables(address: str, random: float, optimum: float) -> None:
    assert resolve(address).references == pytest.approx({"random": random, "optimum": optimum}, rel=1e-6)


@pytest.mark.parametrize("address", ADDRESSES)
def test_agents_are_of_two_types_since_the_best_answer_may_be_to_differ(address: str) -> None:
    assert accord.envs.make(address).spec.agent_types.tolist() == [0, 1]


@pytest.mark.filterwarnings("ignore::UserWarning:pettingzoo")
@pytest.mark.parametrize("address", ADDRESSES)
def test_pettingzoo_accepts_every_game(address: str) -> None:
    parallel_api_test(accord.envs.parallel_env(address), num_cycles=60)
    parallel_seed_test(lambda: accord.envs.parallel_env(address), num_cycles=30)


@pytest.mark.parametrize("name", ["", "chess", "penalty", "penalty_-1", "penalty_many"])
def test_unknown_games_are_named_with_what_is_allowed(name: str) -> None:
    with pytest.raises(UsageError, match=r"unknown game .*allowed: two_step, qtran, climbing, penalty_K"):
        resolve(f"games/{name}")


def test_an_action_out_of_range_is_a_clear_error() -> None:
    task = accord.envs.make("games/two_step")
    task.reset(1, torch.Generator())
    with pytest.raises(UsageError, match="game 'two_step': an action is out of range; allowed: 0 to 1"):
        task.step(torch.tensor([[[0], [2]]]))
