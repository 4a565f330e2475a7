"""Q-learning with distributed MPC on demand response: the plans of `distributed_mpc` learn what to correct.

Learning is central, as in `plan_learning`: V and Q are optima of all buildings' plans together, over hours of training.
What is learned are the corrections of `plan_values`. In execution each building plans with its own, and neighbours
negotiate the budgets' prices, as in `distributed_mpc`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from accord.baselines.base import Method, Training
from accord.baselines.control.distributed_mpc import DistributedMpcConfig, Negotiators
from accord.baselines.control.forecast import DAY
from accord.baselines.control.mpc import MpcConfig, coming_hours
from accord.baselines.control.plan_learning import Best, Episode, LearningConfig, Update, learn
from accord.baselines.control.plan_values import PlanParameters, PlanState, PlanValues
from accord.baselines.registry import register
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, Task

Array = NDArray[np.float64]
EXECUTED = {"negotiation", "average", "rounds", "gossip", "rho", "beta"}  # settings that training does not depend on


class DemandQConfig(DistributedMpcConfig, LearningConfig):
    """Settings of the plans, of negotiation in execution, and of learning."""

    gamma: float = Field(0.999, gt=0, le=1, description="Discount per hour, in learning and in plans.")
    update: Update = Field("least_squares", description="How parameters are moved: see `plan_learning`.")
    ridge: float = Field(0.1, gt=0, description="Not first_order: weight of the diagonal of H.")
    most: float = Field(0.02, gt=0, description="Not first_order: most that a parameter moves in one update.")
    batch: int = Field(168, ge=1, description="Fresh samples of an update, one episode; as many are replayed.")
    memory: int = Field(2000, ge=1, description="Samples that may be replayed, the last ones.")
    explore: float = Field(0.05, ge=0, description="Standard deviation of exploration in the end, of a share of load.")
    explore_more: float = Field(0.1, ge=0, description="What it has on top at first, falling by e in `explore_for`.")
    explore_for: float = Field(1000.0, gt=0, description="Samples in which it does.")

    def training_key(self) -> dict[str, Any]:
        """Who negotiates how concerns execution alone."""
        return self.model_dump(mode="json", exclude=EXECUTED)


@register("dmpc_q-demand_response", "own observation, past and equipment; the budgets' use and prices from neighbours")
class DemandQ(Method):
    """Plans that negotiate, whose forecasts and aims were corrected by Q-learning."""

    config_type = DemandQConfig
    learns = random = on_processor = True
    identity = "baselines.demand_q.DemandQ"
    centralised_training = True
    config: DemandQConfig

    @property
    def needs(self) -> tuple[str, ...]:
        """The buildings' equipment."""
        return ("model",)

    def build(self, task: Task, generator: torch.Generator) -> Learned:
        """The planners before anything is learned."""
        if not isinstance(task, DemandResponse):
            raise UsageError(f"method dmpc_q-demand_response: task '{task.spec.name}' is not demand response")
        return Learned(self.config, task.district, PlanParameters.plain(task.spec.n_agents, len(task.spec.budgets)))

    def train(self, task: Task, network: Network, training: Training) -> Learned:
        """Q-learning in episodes of `batch` hours."""
        controller = self.build(task, training.generator)
        assert isinstance(task, DemandResponse)
        values = PlanValues(self.config, task.district, task.spec)

        def begin(generator: torch.Generator) -> TrainingEpisode:
            return TrainingEpisode(task, self.config, generator)

        def state_dict() -> dict[str, Any]:
            controller.learned = values.parameters
            return controller.state_dict()

        learn(values, self.config, begin, task.spec.n_agents, training, state_dict)
        controller.learned = values.parameters
        return controller


class Learned(Negotiators):
    """Planners that keep what was learned."""

    learned: PlanParameters

    def state_dict(self) -> dict[str, Any]:
        """The parameters."""
        return {"parameters": torch.from_numpy(self.learned.vector)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them."""
        self.learned = self.learned.with_vector(state["parameters"].double().numpy())

    @property
    def parameters(self) -> int:
        """How many there are."""
        return self.learned.vector.size


class TrainingEpisode(Episode):
    """Hours of training, from a random state and balanced accounts; what comes is expected by persistence."""

    def __init__(self, task: DemandResponse, config: DemandQConfig, generator: torch.Generator) -> None:
        """Begin."""
        self._task, self._config = task, config
        self._expect = MpcConfig(horizon=config.horizon)
        self._rng = np.random.default_rng(0)  # forecasts without noise draw nothing from it
        spec = task.spec
        self._limit = spec.limits.double().numpy()
        self._members = spec.members.double().expand(spec.n_agents, -1).numpy()
        self._account, self._prices = np.zeros_like(self._limit), np.zeros_like(self._limit)
        self._see(task.reset(1, generator, horizon=config.batch, initial="random"))

    def step(self, plan: Best, noise: Callable[[int], Array]) -> tuple[Array, float, Array]:
        """See `Episode.step`; noise is on the shares of load, and accounts are booked by the budgets themselves."""
        task, spec = self._task, self._task.spec
        grid, battery = plan.action.reshape(2, -1)
        load = self._now.coming.demand[:, 0] + self._now.waiting
        shares = np.stack([battery / np.maximum(load, 1e-9), grid / np.maximum(load - battery, 1e-9)], -1)
        shares = (shares + noise(shares.size).reshape(shares.shape)).clip(0.0, 1.0)
        step = task.step(torch.from_numpy(shares)[None].float())
        done = [step.measures[name][0].double().numpy() for name in ("import_kwh", "battery_kwh")]
        used = (self._members * done[0][:, None]).sum(0)
        config, counted = self._config, step.counted[0].double().numpy()
        limit = config.aim * self._limit
        self._account = np.minimum(self._account + counted * (limit - used), config.carry * limit)
        self._prices, later = plan.prices, self._now.later
        self._see(step)
        return np.concatenate(done), -float(step.reward.sum()) / spec.price_scale, self._now.shorter(later).vector

    def _see(self, step: Step) -> None:
        """What the next plan is made from."""
        task, config = self._task, self._config
        coming = coming_hours(task.district, task.hour_of_calendar, self._expect, self._rng)
        repeats = -(-config.horizon // step.active.shape[1])
        active = np.tile(step.active[0].double().numpy().T, repeats)[:, : config.horizon]
        later = (coming.price + (self._members * self._prices) @ active)[:, :DAY].min(1)
        view = task.forecast(1)
        self._now = PlanState(coming, active, view["waiting_load"][:, 0], view["stored"][:, 0], self._account, later)
        self.state = self._now.vector
