"""The first number that is not finite ends a training, with the agent and the step that it came from."""

from typing import Any

import pytest
import torch
from torch import Tensor

from accord.baselines import make_method
from accord.baselines.base import Effort, Training
from accord.baselines.training.environment import Observation
from accord.baselines.training.finite import check_finite
from accord.envs import make
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task

T, G, A = 4, 3, 2
SEVEN = "campus_seven/two_groups/hourly-0.35"
SETTINGS: dict[str, dict[str, Any]] = {
    "mappo-penalty": {"lanes": 14, "ppo": {"hidden": [8], "rollout_steps": 8}},
    "qmix-penalty": {"lanes": 14, "hidden": [8], "sequence": 8, "levels": 2, "buffer": 4, "batch": 2},
}


class Named:
    name = "somewhere"


def check(*, done: int = 0, **wrong: tuple[int, ...]) -> None:
    """Check a rollout of zeros with one NaN in each of the named places."""
    shapes = {"obs": (T + 1, G, A, 5), "state": (T + 1, G, 6), "action": (T, G, A, 1), "reward": (T, G, A, 1)}
    batch = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, where in wrong.items():
        batch[name][where] = torch.nan
    seen = Observation(batch["obs"][-1], batch["state"][-1])
    rows = {name: values[:T] for name, values in batch.items()}
    check_finite(Named(), rows, seen, done)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"reward": (2, 1, 0, 0)}, "reward of agent 0 of group 1 at step 3 "),
        ({"obs": (2, 2, 1, 4)}, "observation of agent 1 of group 2 at step 2 "),
        ({"obs": (T, 0, 1, 4)}, "observation of agent 1 of group 0 at step 4 "),
        ({"state": (1, 2, 5)}, "state of group 2 at step 1 "),
        ({"reward": (2, 1, 0, 0), "obs": (3, 0, 0, 0), "state": (3, 0, 0)}, "reward of agent 0 of group 1 at step 3 "),
        ({"reward": (3, 1, 0, 0), "obs": (3, 0, 0, 0)}, "observation of agent 0 of group 0 at step 3 "),
        ({"obs": (2, 0, 1, 0), "action": (2, 0, 1, 0)}, "observation of agent 1 of group 0 at step 2 "),
    ],
)
def test_the_first_number_is_named(wrong: dict[str, tuple[int, ...]], found: str) -> None:
    with pytest.raises(
        UsageError, match=f"^environment 'somewhere': {found}of an episode has the value nan; allowed: "
    ):
        check(**wrong)  # type: ignore[arg-type]


def test_steps_count_from_the_beginning_of_the_episode() -> None:
    with pytest.raises(UsageError, match="at step 19 of an episode"):
        check(done=16, reward=(2, 1, 0, 0))


def test_what_follows_from_actions_of_a_diverged_policy_is_not_the_environments_fault() -> None:
    with pytest.raises(ArithmeticError, match="the policy diverged: an action at step 2 of an episode is nan"):
        check(action=(1, 0, 0, 0), reward=(1, 0, 0, 0), obs=(2, 0, 0, 0))


def test_finite_numbers_whose_sum_is_not_pass() -> None:
    check()
    large = torch.full((1, 2, 1, 1), 3e38)
    batch = {"obs": large, "state": torch.zeros(1, 2, 0), "action": large, "reward": large}
    check_finite(Named(), batch, Observation(large[0], torch.zeros(2, 0)), 0)  # type: ignore[arg-type]


def spoilt(task: Task, agent: int, at: int) -> Task:
    """The task, but an agent's reward is NaN after `at` steps of an episode."""
    reset, step, taken = task.reset, task.step, [0]

    def begin(*args: Any, **kwargs: Any) -> Step:
        taken[0] = 0
        return reset(*args, **kwargs)

    def advance(actions: Tensor) -> Step:
        after = step(actions)
        taken[0] += 1
        if taken[0] == at:
            after.reward[1, agent] = torch.nan
        return after

    task.reset, task.step = begin, advance  # type: ignore[method-assign, assignment]
    return task


@pytest.mark.parametrize("name", SETTINGS)
def test_any_task_is_looked_through(name: str) -> None:
    method = make_method(name, SETTINGS[name], tuned=False)
    training = Training(Effort(1000, 60.0), torch.Generator().manual_seed(0))
    found = "'campus_seven': reward of agent .* of group 1 at step 11 of an episode has the value nan"
    with pytest.raises(UsageError, match=found):
        method.train(spoilt(make(SEVEN), 3, 11), Network.build("two_groups", 7), training)
