"""TorchRL takes every kind of task: one copy by its own PettingZoo wrapper, many as one batch."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo import ParallelEnv
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import check_env_specs

import accord
from accord.envs.wrappers.parallel import ParallelTask, TaskFromParallel
from accord.envs.wrappers.torchrl import TorchRLTask

SEVEN = "campus_seven/two_groups/hourly-0.35"
FAILURES = "allocation_4x2/radius-1/failures"
TASKS: list[tuple[str, dict[str, Any]]] = [
    (SEVEN, {}),
    (SEVEN, {"discrete": 3}),
    ("campus_seven/two_groups/feeder-0.35", {"price": 0.5}),
    ("homes_17/ring/average-0.2", {"price": "drawn"}),
    ("games/two_step", {}),
    ("games/climbing", {}),
    ("allocation_4x2/radius-1/steady", {}),
    (FAILURES, {}),
    ("mpe2/simple_spread_v3", {}),
    ("lbf/8x8-2p-2f-coop", {}),
]


@pytest.mark.parametrize(("address", "changes"), TASKS)
def test_the_wrapper_of_torchrl_takes_one_copy(address: str, changes: dict[str, Any]) -> None:
    leave = {"use_mask": True, "done_on_any": False} if address == FAILURES else {}
    env = PettingZooWrapper(accord.parallel_env(address, **changes), return_state=True, **leave)
    check_env_specs(env)
    env.rollout(60, break_when_any_done=False)


@pytest.mark.parametrize(("address", "changes"), TASKS)
def test_a_batch_is_a_torchrl_environment(address: str, changes: dict[str, Any]) -> None:
    copies = 1 if address.startswith("lbf") else 3
    env = accord.torchrl_env(address, copies, **changes)
    check_env_specs(env)
    rolled = env.rollout(60, break_when_any_done=False)
    spec = env.task.spec
    assert rolled["agent", "observation"].shape == (copies, 60, spec.n_agents, spec.obs_dim)
    assert rolled["state"].shape == (copies, 60, spec.state_dim)
    assert (rolled["next", "done"].sum(1) == 60 // spec.horizon).all() or address.startswith("lbf")


def test_a_batch_has_the_numbers_of_the_task() -> None:
    env, task = accord.torchrl_env(SEVEN, 3), accord.make(SEVEN)
    env.set_seed(7)
    rolled = env.rollout(5)
    generator = torch.Generator().manual_seed(7)
    step = task.reset(3, generator)
    for n in range(5):
        assert torch.equal(rolled["agent", "observation"][:, n], step.obs)
        assert torch.equal(rolled["state"][:, n], task.state())
        step = task.step(rolled["agent", "action"][:, n])
        assert torch.equal(rolled["next", "agent", "reward"][:, n, :, 0], step.reward)
        assert torch.equal(rolled["next", "agent", "info", "cost/hour_05"][:, n], step.usage[..., 0])
        assert torch.equal(rolled["next", "agent", "info", "soc"][:, n], step.measures["soc"])


def test_both_ways_name_their_tensors_alike() -> None:
    one = PettingZooWrapper(accord.parallel_env(SEVEN), return_state=True).rollout(2)
    many = accord.torchrl_env(SEVEN, 2).rollout(2)
    of_one, of_many = (
        {key for key in rolled.keys(True, True) if key[-1] not in ("done", "terminated", "truncated")}
        for rolled in (one, many)
    )
    assert of_many - of_one == {("agent", "info", "alive"), ("next", "agent", "info", "alive")}
    assert of_one <= of_many


def test_only_all_copies_are_reset() -> None:
    env = accord.torchrl_env(SEVEN, 2)
    seen = env.reset()
    with pytest.raises(accord.UsageError, match="reset of some copies; allowed is one of all of them"):
        env.reset(seen.set("_reset", torch.tensor([[True], [False]])))


class Masked(ParallelEnv):
    """Only the action that is one more than the last one is open."""

    metadata: ClassVar[dict[str, Any]] = {"name": "masked"}
    possible_agents: ClassVar[list[str]] = ["agent_0", "agent_1"]
    max_cycles = 7

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Box(0, 1, (1,), np.float32)

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Discrete(3)

    def reset(self, seed: int | None = None, options: dict | None = None) -> Any:
        self.agents, self.t = list(self.possible_agents), 0
        return self._seen()

    def step(self, actions: Any) -> Any:
        assert set(actions.values()) == {self.t % 3}
        self.t += 1
        seen, infos = self._seen()
        over = dict.fromkeys(self.agents, self.t == 7)
        self.agents = [] if self.t == 7 else self.agents
        return seen, dict.fromkeys(seen, 1.0), dict.fromkeys(seen, False), over, infos

    def _seen(self) -> Any:
        mask = np.arange(3) == self.t % 3
        return {a: np.zeros(1, np.float32) for a in self.agents}, {a: {"action_mask": mask} for a in self.agents}


def test_masks_close_actions_in_both_ways() -> None:
    one = PettingZooWrapper(ParallelTask(TaskFromParallel(Masked)))
    many = TorchRLTask(TaskFromParallel(Masked), 3)
    for env in (one, many):
        check_env_specs(env)
        rolled = env.rollout(20, break_when_any_done=False)
        mask, action = rolled["agent", "action_mask"], rolled["agent", "action"]
        assert mask.gather(-1, action[..., None]).all()
        assert (mask.sum(-1) == 1).all()
