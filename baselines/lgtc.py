"""LGTC-IPPO: independent PPO whose actors reach dynamic cluster agreements over a graph.

"Decentralized Reinforcement Learning for Multi-Agent Multi-Resource Allocation via Dynamic Cluster Agreements" (arXiv
2503.02437), after its description: there is no public code. An agent embeds what is its own; DeepSets (Zaheer et al.,
2017) pool the consumers; attention picks whose embedding drives the agent, so that agents that pick the same one are
driven alike (not equally: an agent sees consumers from where it is, and what is its own drives it too); the states of
all agents follow `baselines.lgtc_cell` over the communication graph, and actions are read off them. A regulariser asks
for contractive dynamics. Critics are each agent's own; gradients cross agents through what they heard.

In multi-resource allocation the graph moves and is part of what agents see. In demand response it is the scenario's
network, and the consumers are the coming hours with their effective prices, multipliers included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from baselines.actors import GaussianActor
from baselines.augmentation import EXTRA, augmented_dim
from baselines.graph_filters import Hops, OverNetwork, over
from baselines.joint import is_priced, joint_widths
from baselines.lgtc_cell import Integration, LGTCCell
from baselines.lgtc_gradients import attention, picked_and_pooled
from baselines.mappo import PolicyGradient, PolicyGradientConfig, decode
from baselines.networks import linear
from baselines.policy import PolicyController, make_controller
from baselines.ppo import ActorCritic
from baselines.registry import register
from envs.errors import UsageError
from envs.network import Network
from envs.resource_allocation import WAY_THERE
from envs.task import Box, Task, TaskSpec

NEIGHBOURS = "own observation, features from neighbours"


class LGTCConfig(PolicyGradientConfig):
    """Settings of LGTC-IPPO; sizes are the paper's where it names them."""

    width: int = Field(50, ge=1, description="Of an agent's state, H.")
    taps: int = Field(2, ge=1, description="Hops of a graph filter, K.")
    embedding: int = Field(32, ge=1, description="Width of what embeds an agent and a consumer.")
    alpha: float = Field(1e-2, ge=0, description="Weight of the contractivity regulariser; 0 is the ablation.")
    integration: Integration = Field("closed_form", description="Explicit Euler, or exact for the rates of a step.")
    time_step: float = Field(0.5, gt=0, description="Time of the state's dynamics that passes in a step of the task.")
    substeps: int = Field(1, ge=1, description="Steps of the integration in it; Euler needs some where rates are high.")


@register(
    "lgtc-ippo", NEIGHBOURS, critic="own", multipliers="own", handling="none", reward="decomposed", agent_id=False
)
@register(
    "lgtc-ippo-augmented",
    NEIGHBOURS,
    critic="own",
    multipliers="own",
    handling="augmented",
    reward="decomposed",
    agent_id=False,
)
class LGTC(PolicyGradient):
    """IPPO with LGTC actors."""

    config_type = LGTCConfig
    config: LGTCConfig

    def __init__(self, config: LGTCConfig) -> None:
        """See `PolicyGradient`."""
        super().__init__(config)
        self.centralised_training = True

    def _parts(
        self, task: Task, generator: torch.Generator, objectives: int = 1
    ) -> tuple[ActorCritic, PolicyController]:
        config, spec = self.config, task.spec
        if not isinstance(spec.action, Box):
            raise UsageError(f"method lgtc-ippo: task '{spec.name}' has discrete actions; it needs a box")
        if config.ppo.recurrent or config.policies != "shared" or config.agent_id:
            raise UsageError(
                "method lgtc-ippo: its actors have a memory of their own and are shared by all agents; allowed: "
                "ppo.recurrent false, policies shared, agent_id false"
            )
        priced = is_priced(spec, config, f"lgtc-ippo-{config.handling}")
        model = ActorCritic(joint_widths(task, config, priced, objectives), config.ppo, generator)
        body = LGTCBody(layout_of(spec, priced), spec.action.size, config, generator)
        model.actor = GaussianActor(body, spec.action.size, config.ppo.log_std)
        model.to(spec.device)
        sampled, to_action = config.actions == "sampled", partial(decode, spec=spec)
        controller = make_controller(model.actor, spec, config, priced, to_action, sampled=sampled)
        controller.rounds = config.taps * config.substeps
        return model, controller


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


def layout_of(spec: TaskSpec, priced: bool) -> Layout:
    """The columns of what a policy sees of a task, multipliers included where it has budgets.

    Raises:
        UsageError: the task shows neither consumers nor prices.
    """
    fields = spec.obs_fields
    if priced:
        end = augmented_dim(spec)
        prices = slice(end - EXTRA - spec.ahead, end - EXTRA)
        angle = 2 * math.pi * torch.arange(spec.ahead, device=spec.device) / spec.ahead
        places = torch.stack([angle.sin(), angle.cos()], -1)
        return Layout(tuple(k for k in range(end) if not prices.start <= k < prices.stop), prices, 1, places)
    if not {"consumers", "carried", "links"} <= set(fields):
        raise UsageError(f"method lgtc-ippo: task '{spec.name}' shows neither consumers nor prices")
    consumers, links, carried = (fields[name].where for name in ("consumers", "links", "carried"))
    own = tuple(k for k in range(links.start) if not consumers.start <= k < consumers.stop)
    return Layout(own, consumers, WAY_THERE + carried.stop - carried.start, links=links)


class LGTCBody(nn.Module):
    """From observations [T, G, A, O] to outputs, with the states of a graph's agents as memory [G, A, H]."""

    own: Tensor
    places: Tensor

    def __init__(self, layout: Layout, outputs: int, config: LGTCConfig, generator: torch.Generator) -> None:
        """Args: which columns are what, width of the result, settings, source of the first weights."""
        super().__init__()
        self._layout, self._alpha, self._width = layout, config.alpha, config.width
        self._network: OverNetwork | None = None
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
        self.cell = LGTCCell(
            config.width,
            config.width,
            config.taps,
            generator,
            integration=config.integration,
            step=config.time_step,
            substeps=config.substeps,
        )
        self.head = linear(config.width, size, gain, generator)
        self.out = linear(size, outputs, 0.01, generator)

    def listen(self, network: Network) -> None:
        """Talk over a network from now on; before, over the links that observations show."""
        self._network = OverNetwork(network, self.cell.taps)

    def start(self, *shape: int) -> Tensor:
        """States at rest, [*shape, H]."""
        return self.out.weight.new_zeros(*shape, self._width)

    def forward(self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Body.forward`; memory is there always."""
        if memory is None:
            raise ValueError("the states of a graph's agents are needed; see `start`")
        states = self.cell.trajectory(memory, self.inputs(own), self._graphs(own))
        return self.out(functional.relu(self.head(states))), states[-1]

    def inputs(self, own: Tensor) -> Tensor:
        """What drives the states, [..., A, H], from the agent itself, the consumer that it picks, and all of them."""
        agent, consumers = self._agent(own), self._consumers(own)
        # The last layer of their embedding is linear: what it makes of a mean is the mean of what it makes.
        both = picked_and_pooled(consumers, self._asked(agent))
        picked, pooled = self.of_consumer[-1](both).unbind(-2)
        return functional.relu(self.drive(torch.cat([agent, picked, functional.relu(self.pooled(pooled))], -1)))

    def attention(self, own: Tensor) -> Tensor:
        """Which consumer drives each agent, [..., A, M], sums 1."""
        return attention(self._consumers(own), self._asked(self._agent(own)))

    def penalty(self) -> Tensor | None:
        """What is added to the loss."""
        return self._alpha * self.cell.penalty() if self._alpha else None

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

    def _graphs(self, own: Tensor) -> Hops:
        """Over the network that is listened to, or else over the graphs that observations show."""
        if self._network is not None:
            return self._network
        if self._layout.links is None:
            raise ValueError("who can talk to whom is not known; see `listen`")
        return over(own[..., self._layout.links], self.cell.taps)
