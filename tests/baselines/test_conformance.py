"""Every method that is registered keeps the contract that outsiders are held to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.baselines import METHODS
from accord.baselines.audit import audit_method
from accord.baselines.base import Checkpoint, Controller, Method, NoCheckpoint, Training
from accord.baselines.registry import Entry, make_method
from accord.baselines.testing import check_method
from accord.envs.network import Network
from accord.envs.task import Step, Task

DISTRICT, ALLOCATION, GAME = "paper_seven/path/average-0.27", "allocation_4x1/radius-1/steady", "games/climbing"
# Methods of a task of their own.
ADDRESSES = {"allocation_expert": ALLOCATION, "coupled_mpc": "coupled/three", "dmpc_q": "coupled/three"}
PPO = {"hidden": [8], "minibatch": 64, "epochs": 1, "rollout_steps": 24}
CONSENSUS = {"copies": 2, "agents": 2, "ppo": PPO}
GRADIENT = {"lanes": 14, "ppo": PPO}
ATTENTION = GRADIENT | {"width": 8, "embedding": 4}
VALUES = {"lanes": 14, "hidden": [8], "mixer_width": 4, "hyper_width": 8, "batch": 2, "updates": 1}
# What makes a method small, by the beginning of its name, the longest first.
SMALL: dict[str, dict[str, Any]] = {
    "consensus": CONSENSUS,
    "apg": {"copies": 2, "agents": 2, "hidden": [8]},
    "lgtc-ippo": ATTENTION,
    "ippo-attention": ATTENTION,
    "ippo": GRADIENT,
    "mappo": GRADIENT,
    "momappo": GRADIENT | {"scalarisations": 2, "try_copies": 1},
    "iql": VALUES,
    "vdn": VALUES,
    "qmix": VALUES,
    "drigm_qmix": VALUES,
    "networked": GRADIENT,
    "distributed_mpc": {"horizon": 24},
    "dmpc_q": {"stages": 3, "batch": 20},
    "dmpc_q-demand_response": {"horizon": 24, "batch": 10},
    "outside": {"policy": f"{Path(__file__).parents[1] / 'helpers' / 'half_policy.py'}:policy"},
    "rule_based": {"shares": [0.5], "patience": [1.0], "hours": 48},
}
CENTRAL = {
    *("consensus-broadcast", "price_taker-broadcast", "apg-broadcast", "lookahead", "mpc", "allocation_expert"),
    *("coupled_mpc", "dmpc_q"),
    *("mappo-augmented", "qmix-augmented", "vdn-augmented", "drigm_qmix-augmented"),
    *(method for method in METHODS if method.endswith(("-moving-central", "-moving-broadcast"))),
}
TALKING = ("consensus", "apg", "price_taker", "lgtc", "distributed_mpc", "dmpc_q-demand_response")
STEPS = {
    **{"apg": 2_000, "consensus": 2_000, "momappo": 8_000},
    **dict.fromkeys(("lagrangian", "moving", "networked"), 14_000),
}
# How multipliers move in execution is a matter of the controller: training is one for all rules.
MOVING = {"mappo-moving-gossip", "consensus-moving-gossip", "apg-moving-gossip"}
TRAINED_ELSEWHERE = {method for method in METHODS if "-moving-" in method} - MOVING


def small(method: str) -> dict[str, Any]:
    return next((SMALL[word] for word in sorted(SMALL, key=len, reverse=True) if method.startswith(word)), {})


@pytest.mark.parametrize("method", sorted(METHODS.keys() - TRAINED_ELSEWHERE))
def test_every_registered_method_keeps_the_contract(method: str) -> None:
    address = ADDRESSES.get(method, DISTRICT)
    steps = next((number for word, number in STEPS.items() if word in method), 2_000)
    check_method(method, address, small(method), steps=steps, audit=False)


def test_every_other_name_differs_from_one_of_these_in_execution_and_searched_settings_alone() -> None:
    def trained(name: str) -> tuple[type[Method], dict[str, Any]]:
        method = make_method(name, tuned=False)
        return type(method), method.config.training_key()

    checked = [trained(name) for name in METHODS.keys() - TRAINED_ELSEWHERE]
    assert [name for name in TRAINED_ELSEWHERE if trained(name) not in checked] == []


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_reaches_no_further_than_it_claims(method: str) -> None:
    audit = audit_method(method, small(method), ADDRESSES.get(method, DISTRICT))
    assert audit.passed
    assert audit.decentralised == (method not in CENTRAL)
    if audit.decentralised:
        talking = method.startswith(TALKING) or "-moving-" in method
        assert audit.talks == (talking and not method.endswith("-independent"))


@pytest.mark.parametrize("method", ["ippo", "vdn", "lgtc-ippo"])
def test_learners_keep_it_without_budgets(method: str) -> None:
    address = ALLOCATION if method == "lgtc-ippo" else GAME
    steps = 4_000 if method == "lgtc-ippo" else 1_500
    check_method(method, address, small(method), steps=steps, audit=address == ALLOCATION)


class Learner(Method):
    """Learns one number."""

    learns = True

    def build(self, task: Task, generator: torch.Generator) -> "Bias":
        return Bias()

    def train(self, task: Task, network: Network, training: Training) -> "Bias":
        controller = self.build(task, training.generator)
        state = training.checkpoint.load() or {"done": 0, "bias": torch.zeros(1)}
        controller.module.bias.data.copy_(state["bias"])
        for done in range(state["done"] + 1, 5):
            self.grow(controller)
            training.log({"steps": training.effort.steps * done / 4, "seconds": float(done)})
            training.checkpoint.save({"done": done, "bias": controller.module.bias.detach()})
        return controller

    def grow(self, controller: "Bias") -> None:
        controller.module.bias.data.add_(0.1)


class Bias(Controller):
    def __init__(self) -> None:
        self.module = torch.nn.Linear(1, 1)
        for values in self.module.parameters():
            torch.nn.init.zeros_(values)

    def modules(self) -> dict[str, torch.nn.Module]:
        return {"module": self.module}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])

    def act(self, step: Step) -> Tensor:
        return self.module.bias.detach().expand(*step.reward.shape, self.spec.action.size).clone()


class Forgets(Learner):
    def build(self, task: Task, generator: torch.Generator) -> Bias:
        built = Bias()
        built.load_state_dict = lambda state: None  # type: ignore[method-assign]
        return built


class Silent(Learner):
    def train(self, task: Task, network: Network, training: Training) -> Bias:
        return Bias()


class Clocked(Learner):
    calls = 0

    def grow(self, controller: Bias) -> None:
        Clocked.calls += 1
        controller.module.bias.data.add_(0.01 * Clocked.calls)


class Restarts(Learner):
    def train(self, task: Task, network: Network, training: Training) -> Bias:
        return super().train(task, network, replace(training, checkpoint=Forgetful(training.checkpoint)))


class Forgetful(NoCheckpoint):
    def __init__(self, inner: Checkpoint) -> None:
        self.save = inner.save  # type: ignore[method-assign]


class Unreadable(Learner):
    def train(self, task: Task, network: Network, training: Training) -> Bias:
        training.checkpoint.save({"done": {1}, "bias": slice(3)})
        return super().train(task, network, training)


class Peeks(Learner):
    def build(self, task: Task, generator: torch.Generator) -> Bias:
        built = Bias()
        built.act = lambda step: step.obs.mean((1, 2), keepdim=True).expand(-1, 7, 2)  # type: ignore[method-assign]
        return built


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (Forgets, "took the state acts otherwise"),
        (Silent, "training logged nothing"),
        (Clocked, "an interrupted training ends elsewhere"),
        (Restarts, "an interrupted training begins anew"),
        (Unreadable, "a state cannot be read back from a file"),
        (Peeks, "claims to be decentralised"),
    ],
)
def test_a_method_that_breaks_the_contract_hears_how(
    method: type[Method], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "broken", Entry(method, {}, "nothing"))
    with pytest.raises(AssertionError, match=said):
        check_method("broken", DISTRICT, steps=100)
    monkeypatch.setitem(METHODS, "sound", Entry(Learner, {}, "nothing"))
    check_method("sound", DISTRICT, steps=100)
