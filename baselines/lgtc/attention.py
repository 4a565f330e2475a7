"""IPPO whose actors see consumers as a set: they attend to one and pool all.

That is what LGTC-IPPO (arXiv 2503.02437, see `lgtc.py`) drives its states by, without the states: nothing is heard
and nothing remembered, so that the two differ in the graph and its dynamics alone. An agent embeds what is its own;
DeepSets (Zaheer et al., 2017) pool the consumers; attention picks whose embedding counts beside that.

In demand response the consumers are the coming hours with their effective prices, multipliers included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from accord.baselines.learners.mappo import IPPO, PolicyGradient, PolicyGradientConfig
from accord.baselines.lgtc.gradients import attention, picked_and_pooled
from accord.baselines.multipliers.augmentation import EXTRA, augmented_dim
from accord.baselines.training.actors import GaussianActor
from accord.baselines.training.joint import has_budgets, joint_shapes
from accord.baselines.training.joint_method import Parts, register_joint
from accord.baselines.training.models import linear
from accord.baselines.training.ppo import ActorCritic
from accord.envs.allocation.dynamics import WAY_THERE
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Box, Task, TaskSpec


class AttentionConfig(PolicyGradientConfig):
    """Settings of IPPO whose actors attend; sizes are the paper's where it names them."""

    width: int = Field(50, ge=1, description="Of what drives an agent, H.")
    """Unit: neurons."""
    embedding: int = Field(32, ge=1, description="Width of what embeds an agent and a consumer.")
    """Unit: neurons."""


class AttentionIPPO(PolicyGradient):
    """IPPO with actors that attend to consumers."""

    config_type = AttentionConfig
    identity = "baselines.attention.AttentionIPPO"
    config: AttentionConfig

    def _parts(self, task: Task, generator: torch.Generator, objectives: int = 1) -> Parts[ActorCritic]:
        config, spec = self.config, task.spec
        if not isinstance(spec.action, Box):
            raise UsageError(
                f"actors that attend to consumers: task '{spec.name}' has discrete actions; they need a box"
            )
        if config.ppo.recurrent or config.policies != "shared" or config.agent_id:
            raise UsageError(
                "actors that attend to consumers have no other memory and are shared by all agents; allowed: "
                "ppo.recurrent false, policies shared, agent_id false"
            )
        sees_multipliers = has_budgets(spec, config, f"ippo-{config.handling}")
        model = ActorCritic(joint_shapes(task, config, sees_multipliers, objectives), config.ppo, generator)
        body = self._body(layout_of(spec, sees_multipliers), spec.action.size, generator)
        model.actor = GaussianActor(body, spec.action.size, config.ppo.log_std)
        model.to(spec.device)
        return Parts(task, model, self._controller(model, spec, sees_multipliers))

    def _body(self, layout: Layout, outputs: int, generator: torch.Generator) -> AttentionBody:
        return AttentionBody(layout, outputs, self.config, generator)


@dataclass(frozen=True)
class Layout:
    """Which columns of an observation are what.

    Attributes:
        own: Of the agent itself.
        consumers: Of the consumers, one after the other.
        features: Q, columns of one consumer.
        places: [M, P] numbers beside them that tell consumers apart; None where nothing but their features does.
        links: Of who can be talked to, where the graph moves; None where a network says so.
    """

    own: tuple[int, ...]
    consumers: slice
    features: int
    places: Tensor | None = None
    links: slice | None = None


def layout_of(spec: TaskSpec, sees_multipliers: bool) -> Layout:
    """The columns of what a policy sees of a task, multipliers included where it has budgets.

    Raises:
        UsageError: the task shows neither consumers nor prices.
    """
    fields = spec.obs_fields
    if sees_multipliers:
        end = augmented_dim(spec)
        prices = slice(end - EXTRA - spec.ahead, end - EXTRA)
        angle = 2 * math.pi * torch.arange(spec.ahead, device=spec.device) / spec.ahead
        places = torch.stack([angle.sin(), angle.cos()], -1)
        return Layout(tuple(k for k in range(end) if not prices.start <= k < prices.stop), prices, 1, places)
    if not {"consumers", "carried", "links"} <= set(fields):
        raise UsageError(f"actors that attend to consumers: task '{spec.name}' shows neither consumers nor prices")
    consumers, links, carried = (fields[name].where for name in ("consumers", "links", "carried"))
    own = tuple(k for k in range(links.start) if not consumers.start <= k < consumers.stop)
    return Layout(own, consumers, WAY_THERE + carried.stop - carried.start, links=links)


class AttentionBody(nn.Module):
    """From observations [T, G, A, O] to outputs."""

    own: Tensor
    places: Tensor

    def __init__(self, layout: Layout, outputs: int, config: AttentionConfig, generator: torch.Generator) -> None:
        """Draw the first weights.

        Args:
            layout: Which columns of an observation are what.
            outputs: Width of the result.
            config: Settings.
            generator: Source of the first weights.
        """
        super().__init__()
        self._layout = layout
        self.register_buffer("own", torch.tensor(layout.own), persistent=False)
        places = torch.zeros(0) if layout.places is None else layout.places
        self.register_buffer("places", places, persistent=False)
        features = layout.features + (0 if layout.places is None else places.shape[-1])
        size, gain = config.embedding, math.sqrt(2)
        self.of_own = linear(len(layout.own), size, gain, generator)
        self.of_consumer = nn.Sequential(
            linear(features, size, gain, generator), nn.ReLU(), linear(size, size, 1.0, generator)
        )
        self.pooled = linear(size, size, gain, generator)
        self.query = linear(size, size, 1.0, generator)
        self.drive = linear(3 * size, config.width, gain, generator)
        self._set_up_states(generator)
        self.head = linear(config.width, size, gain, generator)
        self.out = linear(size, outputs, 0.01, generator)

    def _set_up_states(self, generator: torch.Generator) -> None:
        """For bodies that have states between what drives an agent and its actions."""

    def start(self, *shape: int) -> Tensor | None:
        """No memory."""
        return None

    def listen(self, network: Network) -> None:
        """Nothing is heard."""

    def penalty(self) -> Tensor | None:
        """Nothing is added to the loss."""
        return None

    def forward(
        self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """See `Body.forward`."""
        return self.read_off(self.inputs(own)), None

    def read_off(self, states: Tensor) -> Tensor:
        """Outputs of what an agent comes to, [..., A, H]."""
        return self.out(functional.relu(self.head(states)))

    def inputs(self, own: Tensor) -> Tensor:
        """What drives an agent, [..., A, H], from the agent itself, the consumer that it picks, and all of them."""
        agent, consumers = self._agent(own), self._consumers(own)
        # The last layer of their embedding is linear: what it makes of a mean is the mean of what it makes.
        both = picked_and_pooled(consumers, self._asked(agent))
        picked, pooled = self.of_consumer[-1](both).unbind(-2)
        return functional.relu(self.drive(torch.cat([agent, picked, functional.relu(self.pooled(pooled))], -1)))

    def attention(self, own: Tensor) -> Tensor:
        """Which consumer drives each agent, [..., A, M], sums 1."""
        return attention(self._consumers(own), self._asked(self._agent(own)))

    def _agent(self, own: Tensor) -> Tensor:
        return functional.relu(self.of_own(own[..., self.own]))

    def _asked(self, agent: Tensor) -> Tensor:
        """Queries to `_consumers`, [..., A, E]; the bias of the last layer is the same for all of them."""
        return self.query(agent) @ self.of_consumer[-1].weight

    def _consumers(self, own: Tensor) -> Tensor:
        """Embeddings but for their last layer, [..., A, M, E]."""
        features = own[..., self._layout.consumers].unflatten(-1, (-1, self._layout.features))
        if len(self.places):
            features = torch.cat([features, self.places.expand(*features.shape[:-1], -1)], -1)
        return self.of_consumer[:-1](features)


register_joint(AttentionIPPO, {"ippo-attention": IPPO | {"agent_id": False}}, ("none", "augmented"))
