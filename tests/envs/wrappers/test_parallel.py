"""Any Task as a PettingZoo environment: conformance, the batched path's numbers, and every refusal."""

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from pettingzoo.test import parallel_api_test, parallel_seed_test

import accord.envs
from accord.envs.errors import UsageError

ADDRESSES = (
    "paper_seven/ring/average-0.27",
    "campus_seven/two_groups/hourly-0.35",
    "homes_17/ring/average-0.2",
    "mixed_9/ring/window-17_21-0.5",
    "synthetic_20/ring/cap-0.6",
)
SEVEN = "campus_seven/two_groups/hourly-0.35"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ones(env: Any, value: float = 1.0) -> dict[str, Any]:
    return {agent: np.full(env.action_space(agent).shape, value, dtype=np.float32) for agent in env.agents}


@pytest.mark.parametrize("address", ADDRESSES)
def test_pettingzoo_accepts_the_environment(address: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(accord.envs.parallel_env(address), num_cycles=100)
        parallel_seed_test(lambda: accord.envs.parallel_env(address), num_cycles=50)


@pytest.mark.parametrize("address", ADDRESSES)
def test_wrapper_and_batched_path_give_the_same_bits(address: str) -> None:
    task, env = accord.envs.make(address), accord.envs.parallel_env(address, horizon=300)
    step = task.reset(1, seeded(7), horizon=300)
    observations, infos = env.reset(seed=7)
    draw = seeded(8)
    while True:
        for i, agent in enumerate(env.possible_agents):
            assert np.array_equal(observations[agent], step.obs[0, i].numpy())
            assert infos[agent]["usage/import"] == step.usage[0, i, 0].item()
            assert step.shortfall is not None
            assert infos[agent]["shortfall"] == step.shortfall[0, i].item()
            assert infos[agent]["soc"] == step.measures["soc"][0, i].item()
            assert infos[agent]["price"] == step.measures["price"][0].item()
        assert np.array_equal(env.state(), task.state()[0].numpy())
        if not env.agents:
            break
        action = torch.rand(1, task.spec.n_agents, 2, generator=draw)
        step = task.step(action)
        observations, rewards, terminations, truncations, infos = env.step(
            dict(zip(env.agents, action[0].numpy(), strict=True))
        )
        assert list(rewards.values()) == step.reward[0].tolist()
        assert set(truncations.values()) == {bool(step.truncated[0])}
        assert not any(terminations.values())
    assert step.truncated.all()
    assert env.step({}) == ({}, {}, {}, {}, {})


def test_infos_are_flat_and_hold_python_floats_by_the_same_names_in_every_step() -> None:
    env = accord.envs.parallel_env("homes_17/ring/average-0.2")
    _, first = env.reset(seed=0)
    info = env.step(ones(env))[-1]["agent_3"]
    named = {"cost/average", "limit/average", "counted/average", "usage/import", "shortfall"}
    named |= {"import_kwh", "battery_kwh", "waiting_load", "demand", "solar", "stored", "curtailed", "soc", "servable"}
    assert info.keys() == first["agent_3"].keys() == named | {"price", "carbon"}
    assert {type(value) for value in [*info.values(), *first["agent_3"].values()]} == {float}
    assert info["cost/average"] == info["usage/import"] == info["import_kwh"] > 0
    assert info["carbon"] > 0 == first["agent_3"]["carbon"]


def test_costs_limits_and_what_counts_say_whether_a_budget_is_met() -> None:
    env = accord.envs.parallel_env("campus_seven/two_groups/feeder-0.35", start=5)
    env.reset(seed=0)
    infos = env.step(ones(env))[-1]
    for budget in env.task.spec.budgets:
        rows = [(info[f"cost/{budget.name}"], info[f"limit/{budget.name}"]) for info in infos.values()]
        within = [True] * 7 if budget.agents is None else budget.agents.tolist()
        assert sum(limit for _, limit in rows) == pytest.approx(budget.limit)
        for (cost, limit), member, info in zip(rows, within, infos.values(), strict=True):
            assert cost == (info["usage/import"] if member else 0.0)
            assert (limit > 0) == member
    hourly = accord.envs.parallel_env(SEVEN, start=5)
    _, infos = hourly.reset(seed=0)
    assert {infos["agent_0"][f"counted/hour_{hour:02d}"] for hour in range(24)} == {0.0}
    info = hourly.step(ones(hourly))[-1]["agent_0"]
    assert [hour for hour in range(24) if info[f"counted/hour_{hour:02d}"]] == [5]
    assert info["cost/hour_17"] == info["cost/hour_05"] == info["usage/import"]


def test_options_choose_start_and_initial_state() -> None:
    env = accord.envs.parallel_env(SEVEN, start=12)
    assert env.reset()[0]["agent_0"].tolist() == env.reset()[0]["agent_0"].tolist()
    waiting = np.arange(7.0)
    _, infos = env.reset(options={"start": 30, "initial": {"waiting_load": waiting, "soc": np.full(7, 70.0)}})
    assert [info["waiting_load"] for info in infos.values()] == waiting.tolist()
    task = accord.envs.make(SEVEN)
    expected = task.reset(1, seeded(0), start=30).obs[0, 0, 4:7].tolist()
    assert env.reset(options={"start": 30})[0]["agent_0"][4:7].tolist() == expected
    drawn = env.reset(options={"initial": "random"})[1]
    assert drawn["agent_0"]["soc"] > 0


def test_resets_without_a_seed_draw_fresh_randomness() -> None:
    env = accord.envs.parallel_env(SEVEN)
    firsts = {env.reset()[0]["agent_0"].tobytes() for _ in range(8)}
    assert len(firsts) > 4
    assert len({accord.envs.parallel_env(SEVEN).reset()[0]["agent_0"].tobytes() for _ in range(8)}) > 4
    continued = []
    for _ in range(2):
        env.reset(seed=3)
        continued.append(env.reset()[0]["agent_0"].tobytes())
    assert continued[0] == continued[1]


def test_the_environment_describes_itself() -> None:
    env = accord.envs.parallel_env(SEVEN)
    assert env.metadata["name"] == "campus_seven"
    assert env.render_mode is None
    assert env.render() is None  # type: ignore[func-returns-value]
    assert env.possible_agents == [f"agent_{i}" for i in range(7)]
    assert env.action_space("agent_0") == gymnasium.spaces.Box(0.0, 1.0, (2,), np.float32)
    assert env.reset(seed=0)[0]["agent_6"] in env.observation_space("agent_6")
    assert env.state() in env.state_space
    env.close()


FIRST = "action of 'agent_0': "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"agent_0": [np.nan, 0.5]}, FIRST + r"\[nan, 0.5\]; allowed: 2 numbers in \[0.0, 1.0\]"),
        ({"agent_0": [np.inf, 0.5]}, FIRST + r"\[inf, 0.5\]; allowed"),
        ({"agent_0": np.array([-0.01, 0.5])}, FIRST + r"\[-0.01, 0.5\]; allowed"),
        ({"agent_0": [0.5, 1.5]}, FIRST + r"\[0.5, 1.5\]; allowed"),
        ({"agent_0": [0.5, 1e300]}, FIRST + r"\[0.5, 1e\+300\]; allowed"),
        ({"agent_0": [0.5]}, FIRST + r"\[0.5\]; allowed"),
        ({"agent_0": [[0.5, 0.5]]}, FIRST + r"\[\[0.5, 0.5\]\]; allowed"),
        ({"agent_0": [[0.5], [0.5, 0.5]]}, FIRST + r"\[\[0.5\], \[0.5, 0.5\]\]; allowed"),
        ({"agent_0": 0.5}, FIRST + "0.5; allowed"),
        ({"agent_0": None}, FIRST + "None; allowed"),
        ({"agent_0": ["a", "b"]}, FIRST + r"\['a', 'b'\]; allowed"),
        ({"agent_7": [0.5, 0.5]}, "action of 'agent_7': not an agent of this step; allowed: agent_0, "),
        ({"agent_2": "gone"}, "action of 'agent_2': missing"),
    ],
)
def test_wrong_actions_are_named(change: dict[str, Any], message: str) -> None:
    env = accord.envs.parallel_env(SEVEN, start=0)
    before, _ = env.reset(seed=0)
    actions = {agent: value for agent, value in (ones(env) | change).items() if not isinstance(value, str)}
    with pytest.raises(UsageError, match=message):
        env.step(actions)
    after = env.step(ones(env))[0]  # the refused step did not happen
    assert after["agent_0"][5:7].tolist() != before["agent_0"][5:7].tolist()
    assert env.reset(seed=0)[0]["agent_0"].tolist() == before["agent_0"].tolist()


def test_steps_outside_an_episode_are_refused() -> None:
    env = accord.envs.parallel_env(SEVEN, horizon=1)
    for early in (lambda: env.step({}), env.state):
        with pytest.raises(UsageError, match="'campus_seven': call reset before"):
            early()
    env.reset(seed=0)
    env.step(ones(env))
    with pytest.raises(UsageError, match="'agent_0': not an agent of this step; allowed: none: the episode is over"):
        env.step({"agent_0": np.ones(2)})


def test_seeds_and_starts_may_be_numbers_of_numpy() -> None:
    one, other = (accord.envs.parallel_env(SEVEN, horizon=kind(3)) for kind in (int, np.int64))
    seen, again = one.reset(seed=4, options={"start": 7}), other.reset(seed=np.int64(4), options={"start": np.int64(7)})
    assert all(np.array_equal(seen[0][agent], again[0][agent]) for agent in one.agents)


@pytest.mark.parametrize("start", ["noon", 1.5, True, -1])
def test_a_start_that_is_no_number_of_a_step_is_refused(start: Any) -> None:
    env = accord.envs.parallel_env(SEVEN)
    with pytest.raises(UsageError, match=f"^start {start!r}: allowed are whole numbers of steps from 0"):
        env.reset(options={"start": start})
    for make in (accord.envs.parallel_env, lambda address, start: accord.envs.vector_env(address, 2, start=start)):
        with pytest.raises(UsageError, match=f"^start {start!r}: "):
            make(SEVEN, start=start)


def test_options_and_actions_that_are_no_mappings_are_refused() -> None:
    env = accord.envs.parallel_env(SEVEN)
    with pytest.raises(UsageError, match=r"^options 'noon': allowed are a mapping"):
        env.reset(options="noon")  # type: ignore[arg-type]
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"^actions: NoneType; allowed: a mapping from agents to actions"):
        env.step(None)  # type: ignore[arg-type]


def test_actions_may_come_from_a_network_that_is_being_trained() -> None:
    env, other = (accord.envs.parallel_env(SEVEN, start=0) for _ in range(2))
    env.reset(seed=0), other.reset(seed=0)
    actions = {agent: torch.full((2,), 0.5, requires_grad=True) for agent in env.agents}
    assert env.step(actions)[1] == other.step(ones(other, 0.5))[1]


@pytest.mark.parametrize(
    ("initial", "said"),
    [
        ("full", "initial: 'full'; allowed for 'campus_seven': 'zero', 'random' or waiting_load and soc"),
        ({"soc": np.zeros(7)}, "initial: soc is given; allowed"),
        ({"soc": np.zeros(7), "waiting_load": np.zeros(7), "speed": np.zeros(7)}, "speed is given; allowed"),
        ({"soc": np.zeros(7), "waiting_load": np.full(7, np.inf)}, "'waiting_load' has a number that is not finite"),
        ({"soc": np.zeros(3), "waiting_load": np.zeros(7)}, r"initial: 'soc' is .*; allowed: numbers of shape \[7\]"),
        ({"soc": ["a"], "waiting_load": np.zeros(7)}, r"initial: 'soc' is \['a'\]; allowed: numbers"),
        ({"soc": np.full(7, -1.0), "waiting_load": np.zeros(7)}, "soc are at least 0"),
    ],
)
def test_a_state_without_a_meaning_is_refused(initial: Any, said: str) -> None:
    env = accord.envs.parallel_env(SEVEN)
    with pytest.raises(UsageError, match=said):
        env.reset(options={"initial": initial})
