"""LGTC-IPPO: independent PPO whose actors reach dynamic cluster agreements over a graph.

"Decentralized Reinforcement Learning for Multi-Agent Multi-Resource Allocation via Dynamic Cluster Agreements" (arXiv
2503.02437), after its description: there is no public code. What drives an agent is `baselines.lgtc.attention`'s, so
that agents that pick the same consumer are driven alike (not equally: an agent sees consumers from where it is, and
what is its own drives it too); the states of all agents follow `baselines.lgtc.cell` over the communication graph,
and actions are read off them. A regulariser asks for contractive dynamics. Critics are each agent's own; gradients
cross agents through what they heard.

In multi-resource allocation the graph moves and is part of what agents see. In demand response it is the scenario's
network.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.learners.mappo import IPPO
from accord.baselines.lgtc.attention import AttentionBody, AttentionConfig, AttentionIPPO, Layout
from accord.baselines.lgtc.cell import Integration, LGTCCell
from accord.baselines.lgtc.graph_filters import Hops, OverNetwork, over
from accord.baselines.training.joint_method import Parts, register_joint
from accord.baselines.training.ppo import ActorCritic
from accord.envs.errors import UsageError
from accord.envs.network import FaultyNetwork, Network
from accord.envs.task import Task

NEIGHBOURS = "own observation, features from neighbours"


class LGTCConfig(AttentionConfig):
    """Settings of LGTC-IPPO; sizes are the paper's where it names them. `width` is that of a state."""

    taps: int = Field(2, ge=1, description="Hops of a graph filter, K.")
    """Unit: hops."""
    alpha: float = Field(1e-2, ge=0, description="Weight of the contractivity regulariser; 0 is the ablation.")
    integration: Integration = Field("closed_form", description="Explicit Euler, or exact for the rates of a step.")
    time_step: float = Field(0.5, gt=0, description="Time of the state's dynamics that passes in a step of the task.")
    substeps: int = Field(1, ge=1, description="Steps of the integration in it; Euler needs some where rates are high.")
    """Unit: steps."""


class LGTC(AttentionIPPO):
    """IPPO with LGTC actors."""

    config_type = LGTCConfig
    identity = "baselines.lgtc.LGTC"
    talks_in_training = True
    config: LGTCConfig

    def __init__(self, config: LGTCConfig) -> None:
        """See `PolicyGradient`."""
        super().__init__(config)
        self.centralised_training = True

    def _parts(self, task: Task, generator: torch.Generator, objectives: int = 1) -> Parts[ActorCritic]:
        parts = super()._parts(task, generator, objectives)
        parts.controller.rounds = self.config.taps * self.config.substeps
        return parts

    def _body(self, layout: Layout, outputs: int, generator: torch.Generator) -> LGTCBody:
        return LGTCBody(layout, outputs, self.config, generator)


class LGTCBody(AttentionBody):
    """From observations [T, G, A, O] to outputs, with the states of a graph's agents as memory [G, A, H]."""

    def __init__(self, layout: Layout, outputs: int, config: LGTCConfig, generator: torch.Generator) -> None:
        """See `AttentionBody`."""
        self._config = config
        super().__init__(layout, outputs, config, generator)
        self._network: OverNetwork | None = None

    def _set_up_states(self, generator: torch.Generator) -> None:
        config = self._config
        self.cell = LGTCCell(
            config.width,
            config.width,
            config.taps,
            generator,
            integration=config.integration,
            step=config.time_step,
            substeps=config.substeps,
        )

    def listen(self, network: Network) -> None:
        """Talk over a network from now on; before, over the links that observations show.

        Raises:
            UsageError: the network has faults.
        """
        if isinstance(network, FaultyNetwork):
            raise UsageError(f"network '{network.name}': LGTC-IPPO passes features on, which faults have no form for")
        self._network = OverNetwork(network, self.cell.taps)

    def start(self, *shape: int) -> Tensor:
        """States at rest, [*shape, H]."""
        return self.out.weight.new_zeros(*shape, self._config.width)

    def forward(self, own: Tensor, shared: Tensor | None = None, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """See `Body.forward`; memory is there always."""
        if memory is None:
            raise ValueError("the states of a graph's agents are needed; see `start`")
        states = self.cell.trajectory(memory, self.inputs(own), self._graphs(own))
        return self.read_off(states), states[-1]

    def penalty(self) -> Tensor | None:
        """The regulariser."""
        return self._config.alpha * self.cell.penalty() if self._config.alpha else None

    def _graphs(self, own: Tensor) -> Hops:
        """Over the network that is listened to, or else over the graphs that observations show."""
        if self._network is not None:
            return self._network
        if self._layout.links is None:
            raise ValueError("who can talk to whom is not known; see `listen`")
        return over(own[..., self._layout.links], self.cell.taps)


register_joint(
    LGTC,
    {"lgtc-ippo": IPPO | {"agent_id": False}},
    ("none", "augmented"),
    sees=dict.fromkeys(("none", "augmented"), NEIGHBOURS),
)
