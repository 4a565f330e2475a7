"""Cooperative Q-learning with distributed MPC on its own example (Esfahani and Gros): local MPCs learn their models.

Q(s, a) and V(s) are those of `coupled_mpc`, learned by `plan_learning`. Values may come from the central optimum or
from prices that agents negotiate: V and Q are sums over agents in both, eq. (15).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, Training
from accord.baselines.control.coupled_mpc import CoupledMpc, Parameters
from accord.baselines.control.negotiation import Negotiation
from accord.baselines.control.plan_learning import Best, Episode, LearningConfig, Values, learn
from accord.baselines.registry import register
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task
from accord.envs.toy.coupled_linear import AGENTS, BOUNDS, COUPLINGS, SIZE, CoupledLinear

Array = NDArray[np.float64]
MOST_BACK_OFF = 0.2  # of a bound


class DmpcQConfig(LearningConfig):
    """Settings of the predictions and of learning."""

    solves: Literal["central", "negotiated"] = Field("central", description="Where values and plans come from.")
    rounds: int = Field(20, ge=1, le=1000, description="negotiated: rounds of ADMM for a value or a plan.")
    stages: int = Field(10, ge=1, le=100, description="Stages of a prediction, N.")


class CoupledMpcConfig(MethodConfig):
    """Settings of plans without learning."""

    model: Literal["imperfect", "true"] = Field("imperfect", description="What is planned with: of eq. (31) or (30).")


@register("coupled_mpc", "everything, and a model")
class CoupledMpcMethod(Method):
    """A central plan of coupled linear systems by a model that stays: where `dmpc_q` begins, or the true one."""

    config_type = CoupledMpcConfig
    random = on_processor = True  # the planner draws nothing, but a seed draws starts and disturbances
    config: CoupledMpcConfig

    @property
    def needs(self) -> tuple[str, ...]:
        """It plans with one."""
        return ("model",)

    def build(self, task: Task, generator: torch.Generator) -> CoupledPlanner:
        """The planner."""
        _check("coupled_mpc", task)
        parameters = Parameters.true() if self.config.model == "true" else Parameters.unlearned()
        return CoupledPlanner(DmpcQConfig.model_validate({}), parameters)


@register("dmpc_q", "own state and learned model; plans agreed on with all")
class DmpcQ(Method):
    """Local MPCs of coupled linear systems that learn their models by Q-learning."""

    config_type = DmpcQConfig
    learns = random = on_processor = True
    identity = "baselines.dmpc_q.DmpcQ"
    centralised_training = True
    config: DmpcQConfig

    @property
    def needs(self) -> tuple[str, ...]:
        """One to begin with."""
        return ("model",)

    def build(self, task: Task, generator: torch.Generator) -> CoupledPlanner:
        """The planner with the model that everybody begins with."""
        _check("dmpc_q", task)
        return CoupledPlanner(self.config)

    def train(self, task: Task, network: Network, training: Training) -> CoupledPlanner:
        """Q-learning in episodes of `batch` steps."""
        controller, config = self.build(task, training.generator), self.config

        def begin(generator: torch.Generator) -> _Episode:
            return _Episode(task, task.reset(1, generator, horizon=config.batch))

        learn(controller.values, config, begin, AGENTS, training, controller.state_dict)
        return controller


def _check(method: str, task: Task) -> None:
    if not isinstance(task, CoupledLinear):
        raise UsageError(f"method {method}: task '{task.spec.name}' is not coupled/three")


class CoupledPlanner(Controller):
    """Acts by the first inputs of its plan.

    Attributes:
        values: Its V and Q.
    """

    decentralised = False

    def __init__(self, config: DmpcQConfig, parameters: Parameters | None = None) -> None:
        self.values = CoupledValues(config, parameters or Parameters.unlearned())

    def act(self, step: Step) -> Tensor:
        """Inputs, [B, 3, 1]."""
        states = SIZE * step.obs.double().numpy()
        return torch.from_numpy(np.stack([self.values.best(state).action for state in states]))[..., None].float()

    def state_dict(self) -> dict[str, Any]:
        """The parameters."""
        return {"parameters": torch.from_numpy(self.values.vector)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them."""
        self.values.take(state["parameters"].double().numpy())

    @property
    def parameters(self) -> int:
        """How many there are."""
        return self.values.vector.size


class CoupledValues(Values):
    """V and Q of states [3, 2] and inputs [3], and how they depend on `Parameters`."""

    def __init__(self, config: DmpcQConfig, parameters: Parameters) -> None:
        self._config = config
        self._central = CoupledMpc(parameters, stages=config.stages, gamma=config.gamma)
        self._negotiation = Negotiation(parameters, stages=config.stages, gamma=config.gamma)

    @property
    def vector(self) -> Array:
        """See `Parameters.vector`."""
        return self._central.parameters.vector

    @property
    def discount(self) -> float:
        """Of a step."""
        return self._config.gamma

    def take(self, vector: Array) -> None:
        """Bounds are held back, by at most `MOST_BACK_OFF`."""
        parameters = self._central.parameters.with_vector(vector).with_back_off(MOST_BACK_OFF)
        self._central.parameters = self._negotiation.parameters = parameters

    def best(self, state: Array, action: Array | None = None) -> Best:
        """Of the central optimum, or at prices that agents found."""
        config = self._config
        if config.solves == "central":
            found = self._central.value(state) if action is None else self._central.action_value(state, action)
            return Best(found.value, found.action, found.gradient(config.gamma), np.zeros(0))
        prices = self._negotiation.rounds("admm", config.rounds, state, action)[-1].prices
        agreed = self._negotiation.at(prices, state, action)
        return Best(agreed.value, agreed.action, agreed.gradient(config.gamma), np.zeros(0))


class _Episode(Episode):
    def __init__(self, task: Task, first: Step) -> None:
        self._task, self.state = task, _state(first)
        self._positions, self._inputs = list[Array](), list[Array]()

    def step(self, plan: Best, noise: Callable[[int], Array]) -> tuple[Array, float, Array]:
        action = (plan.action + noise(AGENTS)).clip(-1.0, 1.0)
        step = self._task.step(torch.from_numpy(action)[None, :, None].float())
        self.state = _state(step)
        self._positions.append(self.state[:, 0])
        self._inputs.append(action)
        return action, -float(step.reward.sum()), self.state

    def summary(self) -> dict[str, float]:
        """Mean distances of the later half, how often x₁ is below its bound, and the largest input."""
        positions = np.stack(self._positions)
        later = positions[len(positions) // 2 :].mean(0)
        told = {f"distance_{i + 1}{j + 1}": float(later[i] - later[j]) for i, j, _ in COUPLINGS}
        low = float((positions[:, 0] < BOUNDS[0][0]).mean())
        return told | {"below_bound": low, "largest_input": float(np.abs(self._inputs).max())}


def _state(step: Step) -> Array:
    return np.asarray(SIZE * step.obs[0].double().numpy())
