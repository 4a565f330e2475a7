"""A trained network as a controller: all that a learning method without multipliers needs in execution."""

from __future__ import annotations

import torch
from torch import Tensor

from accord.baselines.base import Controller
from accord.envs.task import Step


class NetworkController(Controller):
    """One network for all agents, which acts on an agent's own observation.

    Attributes:
        net: From observations [B, N, O] to actions [B, N, A] in the task's box.
    """

    def __init__(self, net: torch.nn.Module) -> None:
        """Set up.

        Args:
            net: See the class.
        """
        self.net = net

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A]."""
        actions: Tensor = self.net(step.obs)
        return actions

    def modules(self) -> dict[str, torch.nn.Module]:
        """What is trained and stored."""
        return {"net": self.net}
