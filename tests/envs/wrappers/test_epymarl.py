"""The environment that docs/epymarl.md hands to EPyMARL loses neither the last reward nor the time limit."""

import re
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import accord.envs

PAGE = Path(__file__).parents[3] / "docs" / "epymarl.md"
SETTINGS: dict[str, Any] = {"price": 0.5, "discrete": 5, "horizon": 3}
ADDRESS = "campus_seven/two_groups/hourly-0.35"


@pytest.fixture
def registered() -> Any:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(blocks[0], {})
    yield "Accord-v0"
    del gymnasium.registry["Accord-v0"]


def test_every_reward_arrives_and_a_time_limit_is_none_of_the_ends(registered: str) -> None:
    made = gymnasium.make(registered, address=ADDRESS, **SETTINGS)
    env, plain = gymnasium.wrappers.TimeLimit(made, 3), accord.envs.parallel_env(ADDRESS, **SETTINGS)
    seen, _ = env.reset(seed=4)
    expected, _ = plain.reset(seed=4)
    used = 0.0
    for n in range(3):
        assert all(np.array_equal(one, other) for one, other in zip(seen, expected.values(), strict=True))
        seen, rewards, terminated, truncated, info = env.step([7] * 7)
        expected, paid, *_, infos = plain.step(dict.fromkeys(plain.possible_agents, 7))
        used += sum(each["usage/import"] for each in infos.values())
        assert rewards == list(paid.values())
        assert (terminated, truncated, info["episode_limit"]) == (False, n == 2, n == 2)
    assert info["usage/import"] == pytest.approx(used)
    assert any(rewards)
