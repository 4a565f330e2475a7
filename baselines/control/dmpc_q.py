"""Cooperative Q-learning with distributed MPC (Esfahani and Gros): local MPCs as value functions learn their models.

Q(s, a) and V(s) are those of `coupled_mpc`; the policy is the first input of V's plan, with Gaussian exploration. With
the temporal difference δ = L + γ·V(s⁺) − Q(s, a) and g = ∂Q/∂θ, every batch of fresh and replayed samples takes a step

    θ ← θ + clip(η·(H + ridge·(diag H + 1e-3))⁻¹·mean(δ·g), ±most),        H = mean(g·gᵀ)

of Gauss and Newton. The printed one, θ ← θ + α·δ·g, eq. (22), is `update: first_order`, an ablation. Values may come
from the central optimum or from prices that agents negotiate: V and Q are sums over agents in both, eq. (15).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, RolloutStart, Training
from accord.baselines.control.coupled_mpc import CoupledMpc, Parameters
from accord.baselines.control.negotiation import Negotiation
from accord.baselines.registry import register
from accord.baselines.training.progress import Progress
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task
from accord.envs.toy.coupled_linear import AGENTS, SIZE, CoupledLinear

Array = NDArray[np.float64]
SAVES = 20  # checkpoints of a training
MOST_BACK_OFF = 0.2  # of a bound


class DmpcQConfig(MethodConfig):
    """Settings of the predictions and of learning."""

    solves: Literal["central", "negotiated"] = Field("central", description="Where values and plans come from.")
    rounds: int = Field(20, ge=1, le=1000, description="negotiated: rounds of ADMM for a value or a plan.")
    stages: int = Field(10, ge=1, le=100, description="Stages of a prediction, N.")
    gamma: float = Field(0.9, gt=0, lt=1, description="Discount per step.")
    update: Literal["gauss_newton", "first_order"] = Field("gauss_newton", description="How parameters are moved.")
    alpha: float = Field(1e-7, gt=0, description="first_order: step.")
    step: float = Field(0.3, gt=0, le=1, description="gauss_newton: share of the step that is taken.")
    decay: float = Field(0.985, gt=0, le=1, description="What `step` is multiplied by after every update.")
    ridge: float = Field(0.01, gt=0, description="gauss_newton: weight of the diagonal of H.")
    most: float = Field(0.05, gt=0, description="gauss_newton: most that a parameter moves in one update.")
    batch: int = Field(100, ge=1, description="Fresh samples of an update, one episode; as many are replayed.")
    memory: int = Field(5000, ge=1, description="Samples that may be replayed, the last ones.")
    explore: float = Field(0.1, ge=0, description="Standard deviation of exploration in the end.")
    explore_more: float = Field(0.2, ge=0, description="What it has on top at first, falling by e in `explore_for`.")
    explore_for: float = Field(5000.0, gt=0, description="Samples in which it does.")


class CoupledMpcConfig(MethodConfig):
    """Settings of plans without learning."""

    model: Literal["imperfect", "true"] = Field("imperfect", description="What is planned with: of eq. (31) or (30).")


@register("coupled_mpc", "everything, and a model")
class CoupledMpcMethod(Method):
    """A central plan of coupled linear systems by a model that stays: where `dmpc_q` begins, or the true one."""

    config_type = CoupledMpcConfig
    config: CoupledMpcConfig

    def build(self, task: Task, generator: torch.Generator) -> CoupledPlanner:
        """The planner."""
        _check("coupled_mpc", task)
        parameters = Parameters.true() if self.config.model == "true" else Parameters.unlearned()
        return CoupledPlanner(DmpcQConfig.model_validate({}), parameters)


@register("dmpc_q", "own state and learned model; plans agreed on with all")
class DmpcQ(Method):
    """Local MPCs of coupled linear systems that learn their models by Q-learning."""

    config_type = DmpcQConfig
    learns = random = True
    identity = "baselines.dmpc_q.DmpcQ"
    centralised_training = True
    config: DmpcQConfig

    def build(self, task: Task, generator: torch.Generator) -> CoupledPlanner:
        """The planner with the model that everybody begins with."""
        _check("dmpc_q", task)
        return CoupledPlanner(self.config)

    def train(self, task: Task, network: Network, training: Training) -> CoupledPlanner:
        """Q-learning in episodes of `batch` steps."""
        controller, config = self.build(task, training.generator), self.config
        memory = _Memory(config.memory, controller)
        progress = Progress(training.checkpoint, training.generator, {"memory": memory})
        updates = max(1, math.ceil(training.effort.steps / (AGENTS * config.batch)))
        while progress.done < updates and progress.clock.spent < training.effort.seconds:
            progress.clock.start()
            costs = memory.collect(task, controller, progress.done * config.batch, training.generator)
            progress.clock.collected()
            fresh = memory.newest(config.batch)
            errors = controller.learn([*fresh, *memory.drawn(config.batch, training.generator)], progress.done)
            progress.clock.updated()
            progress.done += 1
            steps = progress.done * config.batch * AGENTS
            told = {"stage_cost": float(np.mean(costs)), "td_error": float(np.abs(errors[: len(fresh)]).mean())}
            training.log({"steps": steps, **progress.clock.read(), **told})
            seconds = progress.clock.spent
            training.checkpoint.snapshot(progress.done / updates, steps, seconds, controller.state_dict)
            progress.save(updates, SAVES)
        return controller


def _check(method: str, task: Task) -> None:
    if not isinstance(task, CoupledLinear):
        raise UsageError(f"method {method}: task '{task.spec.name}' is not coupled/three")


class CoupledPlanner(Controller):
    """Acts by the first inputs of its plan; learns by what came of them."""

    decentralised = False

    def __init__(self, config: DmpcQConfig, parameters: Parameters | None = None) -> None:
        self._config = config
        self._central = CoupledMpc(parameters or Parameters.unlearned(), stages=config.stages, gamma=config.gamma)
        self._negotiation = Negotiation(self._central.parameters, stages=config.stages, gamma=config.gamma)

    def reset(self, start: RolloutStart) -> None:
        """Nothing is remembered between steps."""
        super().reset(start)

    def act(self, step: Step) -> Tensor:
        """Inputs, [B, 3, 1]."""
        states = SIZE * step.obs.double().numpy()
        return torch.from_numpy(np.stack([self.policy(state) for state in states]))[..., None].float()

    def policy(self, state: Array) -> Array:
        """First inputs of V's plan, [3]."""
        return self._best(state, None)[1]

    def learn(self, samples: list[Sample], updates: int) -> Array:
        """One step of the parameters; temporal differences of the samples.

        Args:
            samples: Fresh and replayed ones.
            updates: How many steps there were.
        """
        config, errors, gradients = self._config, [], []
        for state, action, cost, following in samples:
            value, _, gradient = self._best(state, action)
            errors.append(cost + config.gamma * self._best(following, None)[0] - value)
            gradients.append(gradient)
        delta, g = np.array(errors), np.stack(gradients)
        moved = (delta[:, None] * g).mean(0)
        if config.update == "first_order":
            change = config.alpha * moved
        else:
            curvature = g.T @ g / len(g)
            curvature += config.ridge * np.diag(np.diag(curvature) + 1e-3)
            change = config.step * config.decay**updates * np.linalg.solve(curvature, moved)
            change = change.clip(-config.most, config.most)
        old = self._central.parameters
        new = old.with_vector(old.vector + change)
        self._take(new.with_back_off(MOST_BACK_OFF))
        return delta

    def state_dict(self) -> dict[str, Any]:
        """The parameters."""
        return {"parameters": torch.from_numpy(self._central.parameters.vector)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them."""
        self._take(self._central.parameters.with_vector(state["parameters"].double().numpy()))

    @property
    def parameters(self) -> int:
        """How many there are."""
        return self._central.parameters.vector.size

    def _take(self, parameters: Parameters) -> None:
        self._central.parameters = self._negotiation.parameters = parameters

    def _best(self, state: Array, action: Array | None) -> tuple[float, Array, Array]:
        """Value, first inputs and derivative by the parameters: of V, or of Q where the action is given."""
        config = self._config
        if config.solves == "central":
            found = self._central.value(state) if action is None else self._central.action_value(state, action)
            return found.value, found.action, found.gradient(config.gamma)
        prices = self._negotiation.rounds("admm", config.rounds, state, action)[-1].prices
        agreed = self._negotiation.at(prices, state, action)
        return agreed.value, agreed.action, agreed.gradient(config.gamma)


Sample = tuple[Array, Array, float, Array]  # state [3, 2], action [3], stage cost, next state


class _Memory:
    """The last samples; a checkpoint keeps them with the parameters."""

    def __init__(self, capacity: int, controller: CoupledPlanner) -> None:
        self._capacity, self._controller, self._samples = capacity, controller, list[Sample]()

    def collect(self, task: Task, controller: CoupledPlanner, before: int, generator: torch.Generator) -> list[float]:
        """An episode from a fresh state; stage costs."""
        config, costs = controller._config, []
        step = task.reset(1, generator, horizon=config.batch)
        for k in range(config.batch):
            state = SIZE * step.obs[0].double().numpy()
            spread = config.explore + config.explore_more * np.exp(-(before + k) / config.explore_for)
            noise = spread * torch.randn(AGENTS, generator=generator, dtype=torch.float64).numpy()
            action = (controller.policy(state) + noise).clip(-1.0, 1.0)
            step = task.step(torch.from_numpy(action)[None, :, None].float())
            costs.append(-float(step.reward.sum()))
            self._samples.append((state, action, costs[-1], SIZE * step.obs[0].double().numpy()))
        self._samples = self._samples[-self._capacity :]
        return costs

    def newest(self, count: int) -> list[Sample]:
        """The last ones."""
        return self._samples[-count:]

    def drawn(self, count: int, generator: torch.Generator) -> list[Sample]:
        """Any, with replacement."""
        return [self._samples[i] for i in torch.randint(len(self._samples), (count,), generator=generator).tolist()]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        columns = zip(*self._samples, strict=True)
        samples = [torch.from_numpy(np.array(column)) for column in columns]
        return {"samples": samples, **self._controller.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from one."""
        states, actions, costs, following = (column.numpy() for column in state["samples"])
        self._samples = list(zip(states, actions, costs.tolist(), following, strict=True))
        self._controller.load_state_dict(state)
