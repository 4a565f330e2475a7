"""The contracts of a method, of the controller that it leaves, and of a reference bound."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from accord.envs.network import Network
from accord.envs.scenario import Bound, Infeasible, Scenario
from accord.envs.task import Step, Task, TaskSpec


class MethodConfig(BaseModel):
    """Typed settings of a method. An unknown key or a value out of range is an error before any training."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def training_key(self) -> dict[str, Any]:
        """The part of the settings that training depends on; execution-only settings are left out."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Effort:
    """How much training a method gets.

    Attributes:
        steps: Agent-steps: transitions of one agent by one step of the task.
        seconds: Wall-clock limit; a training that it stops short of `steps` is `out of time`.
    """

    steps: int
    seconds: float


class Checkpoint(Protocol):
    """Where a training keeps what it needs to go on after an interruption."""

    def load(self) -> dict[str, Any] | None:
        """The last saved state, or None."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep a state, atomically."""

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Offer what was learned so far, for learning curves; `state` is called where it is wanted.

        Args:
            fraction: Share of the effort that is spent.
            steps: Agent-steps done.
            seconds: Training time so far.
            state: Makes what `Controller.state_dict` would give now.
        """


class NoCheckpoint:
    """A training that starts from nothing and leaves nothing."""

    def load(self) -> None:
        """Nothing was saved."""

    def save(self, state: dict[str, Any]) -> None:
        """Keep nothing."""

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Keep nothing."""


Log = Callable[[Mapping[str, float]], None]


def ignore(row: Mapping[str, float]) -> None:
    """A log that nobody reads."""


@dataclass(frozen=True)
class Training:
    """How a method is trained, beside the task and the network.

    Attributes:
        effort: When it is over.
        generator: Source of every draw.
        log: Called with rows of `steps`, `seconds` and whatever else there is to say; `learned_steps`, where there
            is one, says how many of the steps were learned from.
        checkpoint: Where it goes on from and what it leaves.
    """

    effort: Effort
    generator: torch.Generator
    log: Log = ignore
    checkpoint: Checkpoint = field(default_factory=NoCheckpoint)

    @classmethod
    def without_effort(cls, generator: torch.Generator) -> Training:
        """For methods that do not learn."""
        return cls(Effort(0, 0.0), generator)


@dataclass(frozen=True)
class ModelView:
    """What a privileged controller may look at: the running task, hence its dynamics, clock and forecast."""

    task: Task


@dataclass(frozen=True)
class RolloutStart:
    """What a controller is given when a rollout begins.

    Attributes:
        spec: The task's.
        network: The only way in which agents hear of each other.
        batch: Copies of the task, B.
        generator: Source of every draw.
        model: The running task, for privileged controllers alone.
    """

    spec: TaskSpec
    network: Network
    batch: int
    generator: torch.Generator
    model: ModelView | None = None


@dataclass(frozen=True)
class Ledger:
    """What moved the mean multiplier of each budget so far, in use of the budget; each [m], float64.

    The unit is the use that a dual step of that size answers, as a share of the limit, summed over steps.
    A dual step adds α·e to λ, with e an agent's use less its part of the budget (1 − τ)·c. Its limits, 0 and λ_max,
    give and take, communication may move the mean, and nothing else moves it. So over the T steps that a budget counts

        use/c − 1 = (level + cut − lifted − talk)/T − τ

    with each term's change over these steps, exactly, for a constant α and any parts that add up to the budget.

    Attributes:
        level: The mean multiplier.
        cut: What λ_max took from dual steps: use that no price answered.
        lifted: What the limit 0 gave: thrift that no price was lowered for.
        talk: What communication gave: 0 with doubly stochastic weights, but for rounding.
        aimed: τ, how far below the budget dual steps aim, a share of it.
    """

    level: Tensor
    cut: Tensor
    lifted: Tensor
    talk: Tensor
    aimed: float

    def since(self, before: Ledger) -> Ledger:
        """The change of each term after `before`, on the processor."""
        names = ("level", "cut", "lifted", "talk")
        terms = {name: (getattr(self, name) - getattr(before, name)).cpu() for name in names}
        return Ledger(**terms, aimed=self.aimed)


class Rollout(Protocol):
    """A controller and its task advanced together, agents a part at a time: equal to both apart up to rounding.

    Attributes:
        seconds: Spent so far, by stage; `dynamics` are the task's, all others the controller's.
        multipliers: λ [N, m], mean prices.
        clock: Of these seconds; on a GPU one that waits until it has done what it was given.
    """

    seconds: dict[str, float]
    clock: Callable[[], float]

    @property
    def multipliers(self) -> Tensor:
        """See the class."""

    def ledger(self) -> Ledger | None:
        """See `Controller.ledger`."""

    def disagreement_bound(self) -> Tensor | None:
        """See `Controller.disagreement_bound`."""

    def reset(self, start: int) -> None:
        """Put the plant at rest at an hour of the calendar; the controller's multipliers stay."""

    def step(self) -> None:
        """One step of every agent, messages included."""

    def outcome(self) -> Step:
        """What the last step left, of one copy, without observations."""


class Controller(ABC):
    """What acts in a task. The harness rolls it out; it never computes its own metrics.

    Attributes:
        decentralised: A claim, audited by the harness: other agents' numbers arrive through the network only.
        privileged: It may be handed a `ModelView`.
        rounds: Hops that information may travel from one action to the next; what the audit holds the claim against.
    """

    decentralised: bool = True
    privileged: bool = False
    rounds: int = 0

    def reset(self, start: RolloutStart) -> None:
        """Begin a rollout."""
        self.spec, self.network, self.generator = start.spec, start.network, start.generator

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """The budgets or the tariff change in the middle of a rollout; multipliers and memory stay."""
        self.spec = spec

    @abstractmethod
    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A] for the observations of `step`; may talk through the network."""

    def feedback(self, step: Step) -> None:  # noqa: B027
        """See the outcome of the last action, for dual updates; may talk through the network."""

    def settle(self) -> None:  # noqa: B027
        """Do the bookkeeping of the last step, beside what an agent does: it is not timed."""

    def in_chunks(self, task: Task) -> Rollout | None:
        """The same rollout on a bounded working set, for very many agents; None where there is none.

        Called after `reset`; a rollout of one copy that continues where the controller stands.
        """
        return None

    def diagnostics(self) -> dict[str, Tensor]:
        """Internal numbers that the record keeps over time, such as `multipliers` [B, N, m]."""
        return {}

    def solver_statistics(self) -> dict[str, float]:
        """Of the finished rollout: `solver_gap`, `solver_timeouts` and `solver_seconds`; empty without a solver."""
        return {}

    def multiplier_limit(self) -> float | None:
        """Largest value that a multiplier may take, in mean prices; None without multipliers."""
        return None

    def ledger(self) -> Ledger | None:
        """What moved the multipliers of the first copy so far; None where none move, or not by constant steps."""
        return None

    def disagreement_bound(self) -> Tensor | None:
        """What theory bounds ‖λ − λ̄‖₂/√N by now, [m] in mean prices, of the first copy; None where it does not."""
        return None

    def modules(self) -> dict[str, torch.nn.Module]:
        """Trained networks by name."""
        return {}

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(p.numel() for module in self.modules().values() for p in module.parameters())

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as tensors by name."""
        return {name: module.state_dict() for name, module in self.modules().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what was learned elsewhere."""
        for name, module in self.modules().items():
            module.load_state_dict(state[name])


class Method(ABC):
    """One way to get a controller.

    Attributes:
        config_type: The class of its settings.
        learns: Training takes effort and leaves a policy; False where `train` returns at once.
        random: Results depend on the seed.
        identity: A word for the class in digests of policies, which never changes; see `identity_of`.
        privileged: Its controller is handed a `ModelView`: a yardstick, not a contender.
        on_processor: It computes on the processor whatever device is asked for: by a solver, or by code from outside.
        training_scope: What a trained policy depends on besides settings, effort and seed: the whole
            scenario, or only the population (the district and the hours of the budgets, not their levels
            and not the network), so that scenarios that differ only in execution share one training.
        talks_in_training: Its agents talk over the network while they are trained: a policy belongs to its network.
        centralised_training: What it may see in training: the other agents (a central critic, a summed reward,
            a central assignment that guides, what neighbours tell) or its own numbers alone.
    """

    config_type: ClassVar[type[MethodConfig]] = MethodConfig
    learns: ClassVar[bool] = False
    random: ClassVar[bool] = False
    identity: ClassVar[str] = ""
    privileged: ClassVar[bool] = False
    on_processor: ClassVar[bool] = False
    training_scope: Literal["scenario", "population"] = "scenario"
    talks_in_training: ClassVar[bool] = False
    centralised_training: bool = False

    def __init__(self, config: MethodConfig) -> None:
        self.config = config

    @property
    def needs(self) -> tuple[str, ...]:
        """What it needs to know beside what is metered: "model", of the buildings; "foresight", of what comes."""
        return ()

    @abstractmethod
    def build(self, task: Task, generator: torch.Generator) -> Controller:
        """An untrained controller for `task`, into which a trained state can be loaded."""

    def train(self, task: Task, network: Network, training: Training) -> Controller:
        """Train on `task` until the effort is spent; log rows with `steps` and `seconds`; save the state as it goes."""
        return self.build(task, training.generator)


def identity_of(method: type[Method]) -> str:
    """The class's own `identity`, wherever its module moves; without one, its dotted name.

    It is not inherited: a class that learns in another way must not find its parent's policies.
    """
    return method.__dict__.get("identity") or f"{source_name(method.__module__)}.{method.__qualname__}"


def source_name(module: str) -> str:
    """A module's name; of a script that of its file, which is `__main__` here and something else in a worker."""
    if module not in ("__main__", "__mp_main__"):
        return module
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).stem if file else "__main__"


class Reference(ABC):
    """A bound, not a controller."""

    summary: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ("model", "foresight", "centre")

    @abstractmethod
    def solve(self, scenario: Scenario) -> Bound | Infeasible:
        """The scenario's optimum, or the proof that it has none."""
