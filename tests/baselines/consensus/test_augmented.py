"""The consensus method: training on single agents, acting with exchanged multipliers."""

import pytest
import torch

from accord.baselines import make_method
from accord.baselines.base import Effort, RolloutStart, Training
from accord.envs import make
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Task

SMALL = {"ppo": {"hidden": [32, 32], "minibatch": 512}, "copies": 8, "agents": 8}


def train(settings: dict, steps: int = 20_000, address: str = "paper_seven/two_groups/average-0.3"):
    task = make(address)
    rows: list[dict] = []
    method = make_method("consensus-gossip", {**SMALL, **settings})
    controller = method.train(
        task,
        Network.build("two_groups", 7),
        Training(Effort(steps, 1e9), torch.Generator().manual_seed(0), lambda row: rows.append(dict(row))),
    )
    return task, controller, rows


def test_training_logs_its_curve_and_reaches_its_steps() -> None:
    _, controller, rows = train({})
    assert rows[-1]["steps"] >= 20_000
    assert all(set(row) >= {"steps", "seconds", "reward", "kl", "value_loss"} for row in rows)
    assert [row["steps"] for row in rows] == sorted(row["steps"] for row in rows)
    assert controller.parameters > 0


def test_one_policy_per_type_acts_for_its_own_agents_only() -> None:
    task, controller, rows = train({"policies": "per_type"})
    assert len(controller.actors) == 2
    assert rows[-1]["steps"] >= 20_000
    network = Network.build("two_groups", 7)
    with torch.no_grad():
        controller.reset(RolloutStart(task.spec, network, 1, torch.Generator()))
        step = task.reset(1, torch.Generator(), start=12)
        before = controller.act(step)
        controller.actors[1].body.layers[-1].bias += 1.0
        moved = (controller.act(step) != before).any(-1)[0]
    assert moved.tolist() == [False, False, True, False, False, True, False]


def test_budget_level_does_not_enter_training() -> None:
    states = [train({}, 5_000, f"paper_seven/ring/average-{level}")[1].state_dict() for level in (0.2, 0.5)]
    for name, value in states[0]["actor_0"].items():
        assert torch.equal(value, states[1]["actor_0"][name])


def test_trained_state_can_be_loaded_into_a_fresh_controller() -> None:
    task, controller, _ = train({}, 5_000)
    fresh = make_method("consensus-gossip", SMALL).build(task, torch.Generator().manual_seed(9))
    fresh.load_state_dict(controller.state_dict())
    step = task.reset(1, torch.Generator(), start=30)
    with torch.no_grad():
        for each in (controller, fresh):
            each.reset(RolloutStart(task.spec, Network.build("ring", 7), 1, torch.Generator()))
        assert torch.equal(controller.act(step), fresh.act(step))


def test_a_task_that_is_not_separable_is_refused() -> None:
    task = make("paper_seven/ring/average-0.3")

    class Entangled(type(task)):  # type: ignore[misc]
        """The same task, said to be entangled."""

    other: Task = Entangled(task.district, task.spec.budgets)
    from dataclasses import replace

    other.spec = replace(other.spec, separable=False)
    with pytest.raises(UsageError, match="not separable"):
        make_method("consensus-gossip").build(other, torch.Generator())


def test_a_policy_with_memory_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'ppo\.recurrent' must be false"):
        make_method("consensus-gossip", {"ppo": {"recurrent": True}}).build(
            make("paper_seven/ring/average-0.3"), torch.Generator()
        )


def test_a_policy_serves_a_district_of_another_size() -> None:
    _, controller, _ = train({}, 5_000)
    big = make("synthetic_50/ring/average-0.5")
    network = Network.build("ring", 50)
    with torch.no_grad():
        controller.reset(RolloutStart(big.spec, network, 1, torch.Generator()))
        step = big.reset(1, torch.Generator(), start=0)
        for _ in range(5):
            actions = controller.act(step)
            assert actions.shape == (1, 50, 2)
            step = big.step(actions)
            controller.feedback(step)
    assert network.messages == 5 * 100


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dual": {"alhpa": 1.0}}, "unknown key 'dual.alhpa'"),
        ({"dual": {"alpha": -1.0}}, "key 'dual.alpha'"),
        ({"rule": "gossip"}, "'rule' is fixed by the name"),
        ({"ppo": {"gamma": 1.5}}, "key 'ppo.gamma'"),
        ({"ppo": {"critic": "own"}}, "unknown key 'ppo.critic'"),
    ],
)
def test_wrong_settings_name_the_key(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_method("consensus-gossip", settings)
