"""The contract of a constrained cooperative task, in batched tensors.

A task advances `B` copies of a problem with `N` agents together. Each agent earns a local reward and
uses shared resources; budgets bound the long-run average of that use. Everything else in Accord
(methods, harness, the PettingZoo face) is written against this file alone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from accord.envs.errors import UsageError

Initial = Literal["zero", "random"] | Mapping[str, Tensor]


@dataclass(frozen=True)
class Box:
    """Continuous actions: `size` numbers, each in [low, high]."""

    size: int
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Discrete:
    """One of `n` actions, given as an integer in a tensor of shape [B, N, 1]."""

    n: int
    size: int = 1


@dataclass(frozen=True)
class Field:
    """A named part of an observation.

    Attributes:
        where: Its columns in `Step.obs`.
        unit: Physical unit of the quantity before scaling.
        scale: What the quantity is divided by, in words.
        ahead: How many coming steps the columns describe; 0 for the present alone.
        low: No observation lies below this, after scaling.
        high: No observation lies above this, after scaling.
    """

    where: slice
    unit: str
    scale: str
    ahead: int = 0
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Budget:
    """One shared budget: Σ over `agents` of the usage of `resource`, averaged over `hours`, is at most `limit`.

    Attributes:
        name: Short name, unique within a task.
        resource: Index of the resource in `Step.usage`.
        hours: Hours of the day in which the budget counts, bool [24].
        limit: Bound on the average, in units of the resource.
        scale: What a violation is divided by, in the same unit.
        agents: Agents whose usage counts, bool [N]; None for all.
        each_step: The bound holds in every single counted hour and not only on average.
    """

    name: str
    resource: int
    hours: Tensor
    limit: float
    scale: float
    agents: Tensor | None = None
    each_step: bool = False


@dataclass(frozen=True)
class TaskSpec:
    """What a method may know about a task before the first step.

    Attributes:
        name: The task's own name (a district, a game).
        n_agents: N.
        obs_fields: Named parts of the observation.
        action: Action space of every agent.
        state_dim: S, the width of `Task.state()`.
        budgets: The m shared budgets.
        resources: Names of the R shared resources.
        separable: No agent's action changes another's state, reward or usage.
        horizon: Steps of a training episode.
        reward_parts: Names of the K parts that the local reward is the sum of, where it has several.
        ahead: Steps that `Step.active` looks ahead, the present included.
        usage_scale: One base load for all agents alike, in units of the resource (kWh).
        price_scale: One mean price, $ per unit of the resource, above 0; multipliers are in this unit.
        agent_scale: Each agent's own size in base loads, [N].
        units: Unit of each quantity in `Step.measures`.
        plant: Measures that make up the plant's state: what `reset(initial=...)` takes.
        price_field: Name of the observation field that holds the coming price of resource 0.
        delay_price: Price of postponing one unit of use by one step, in mean prices; 0 if delay is free.
        agent_types: Integer type of each agent, [N]; agents of one type are alike.
        device: Where the numbers of the budgets are wanted: the task's own.
    """

    name: str
    n_agents: int
    obs_fields: Mapping[str, Field]
    action: Box | Discrete
    state_dim: int
    horizon: int
    budgets: tuple[Budget, ...] = ()
    resources: tuple[str, ...] = ()
    reward_parts: tuple[str, ...] = ()
    separable: bool = False
    ahead: int = 1
    usage_scale: float = 1.0
    price_scale: float = 1.0
    agent_scale: Tensor = field(default_factory=lambda: torch.ones(1))
    units: Mapping[str, str] = field(default_factory=dict)
    plant: tuple[str, ...] = ()
    price_field: str | None = None
    delay_price: float = 0.0
    agent_types: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.long))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def obs_dim(self) -> int:
        """O, the width of an observation."""
        return max((f.where.stop for f in self.obs_fields.values()), default=0)

    @property
    def obs_bounds(self) -> tuple[Tensor, Tensor]:
        """What no observation lies below and above, two of [O]."""
        low, high = torch.full((self.obs_dim,), -math.inf), torch.full((self.obs_dim,), math.inf)
        for part in self.obs_fields.values():
            low[part.where], high[part.where] = part.low, part.high
        return low, high

    @cached_property
    def limits(self) -> Tensor:
        """Bounds of the budgets, in units of their resource, [m]."""
        return torch.tensor([b.limit for b in self.budgets], device=self.device)

    @cached_property
    def resource_of(self) -> Tensor:
        """Index of each budget's resource, [m]."""
        return torch.tensor([b.resource for b in self.budgets], dtype=torch.long, device=self.device)

    @cached_property
    def members(self) -> Tensor:
        """1 where an agent's usage counts in a budget: [N, m], or [1, m] where every budget has all agents."""
        if all(b.agents is None for b in self.budgets):
            return torch.ones(1, len(self.budgets), device=self.device)
        everyone = torch.ones(self.n_agents)
        members = [everyone if b.agents is None else b.agents.float() for b in self.budgets]
        return torch.stack(members, -1).to(self.device)

    @cached_property
    def member_counts(self) -> Tensor:
        """Number of agents in each budget, [m]."""
        counts = [self.n_agents if b.agents is None else int(b.agents.sum()) for b in self.budgets]
        return torch.tensor(counts, dtype=torch.float32, device=self.device)


@dataclass(frozen=True)
class Step:
    """What a task shows after `reset` or `step`. Usage, reward and measures are 0 after `reset`.

    Attributes:
        obs: [B, N, O], scaled so that learning sees numbers near 1.
        reward: [B, N], the local objective r0 (in $ for demand response).
        usage: [B, N, R], use of each shared resource in the step that was just taken.
        shortfall: [B, N], local equality: its long-run average must be 0; None if the task has none.
        active: [B, ahead, m], which budgets count in the coming steps; the present comes first.
        counted: [B, m], which budgets counted in the step that was just taken.
        measures: Named physical quantities of the step that was just taken, each [B, N] or [B]; the same names in every
            step, those of `reset` included.
        terminated: [B] bool, the task itself ended.
        truncated: [B] bool, a time limit ended the episode.
        alive: [B, N] bool.
        action_mask: [B, N, n] bool for discrete actions, else None.
        links: [B, N, N] bool, symmetric, who can talk to whom now; None where the network never changes.
        reward_parts: [B, N, K], the parts of `reward`; None where it has one.
    """

    obs: Tensor
    reward: Tensor
    usage: Tensor
    shortfall: Tensor | None
    active: Tensor
    counted: Tensor
    measures: dict[str, Tensor]
    terminated: Tensor
    truncated: Tensor
    alive: Tensor
    action_mask: Tensor | None = None
    links: Tensor | None = None
    reward_parts: Tensor | None = None


class Task(ABC):
    """`B` copies of an `N`-agent constrained problem, advanced together."""

    spec: TaskSpec
    device: torch.device = torch.device("cpu")

    @abstractmethod
    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """Start `batch` copies.

        Args:
            batch: B.
            generator: The only source of randomness until the next reset.
            start: First step of the data for all copies; None draws one per copy from the training hours.
            horizon: Steps until truncation; None takes `spec.horizon`.
            initial: The plant's state: at rest, drawn for training, or given by name, each [B, N].
        """

    @abstractmethod
    def step(self, actions: Tensor) -> Step:
        """Take `actions` [B, N, A] and advance every copy by one step."""

    @abstractmethod
    def state(self) -> Tensor:
        """The whole state, [B, S], for central critics and mixers."""

    def state_bounds(self) -> tuple[Tensor, Tensor]:
        """What no state lies below and above, two of [S]; infinite where nothing is known."""
        unknown = torch.full((self.spec.state_dim,), math.inf)
        return -unknown, unknown

    def active(self, ahead: int) -> Tensor:
        """Which budgets count in the coming `ahead` steps, the present first, [B, ahead, m]."""
        raise TypeError(f"the task {self.spec.name} has no budgets")

    def coming_prices(self, ahead: int) -> Tensor | None:
        """What `spec.price_field` will show of the coming `ahead` steps, the present first, in mean prices.

        Returns:
            [B, N or 1, ahead], or None where only observations tell, step by step.
        """
        return None

    def guide(self, on: bool) -> None:
        """From the next reset on, or no longer: work out the measure `approach`, a help in training."""
        raise UsageError(f"task '{self.spec.name}' has no guidance for its agents")

    def take(self, agents: Tensor) -> Task:
        """Separable tasks: a task of the agents with these indices (repeats allowed), on their share of the budgets."""
        raise TypeError(f"the task {self.spec.name} is not separable: its agents cannot be taken one by one")

    def sample_agents(self, n: int, generator: torch.Generator) -> Task:
        """Separable tasks: a task of `n` agents drawn with replacement from this one's population, to train on."""
        drawn = torch.randint(self.spec.n_agents, (n,), generator=generator, device=generator.device)
        return self.take(drawn)


def budget_usage(spec: TaskSpec, step: Step) -> Tensor:
    """Each agent's use in every budget that counts it and counted now, in units of its resource, [B, N, m]."""
    usage = step.usage[..., spec.resource_of] if len(spec.resources) > 1 else step.usage
    return spec.members * step.counted[:, None] * usage
