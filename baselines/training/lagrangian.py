"""What happens beside the learning of learners on the whole task: the dual ascent, and late policies put by."""

from __future__ import annotations

from typing import Any

import torch

from accord.baselines.multipliers.ascent import DualAscent
from accord.baselines.training.joint import JointConfig
from accord.baselines.training.policy import PolicyController
from accord.envs.network import Network
from accord.envs.task import Task


class LagrangianCallback:
    """With `lagrangian`: a dual step after each rollout, and late policies put by."""

    def __init__(
        self,
        task: Task,
        controller: PolicyController,
        config: JointConfig,
        network: Network,
        generator: torch.Generator,
    ) -> None:
        """Set up.

        Args:
            task: What is learned.
            controller: Of what is trained.
            config: Settings.
            network: Who talks to whom.
            generator: Source of every draw.
        """
        self._controller, self._ascent = controller, None
        if config.handling == "lagrangian" and controller.last.held is not None:
            probe = controller.greedy()
            self._ascent = DualAscent(task, probe, controller.last.held, config.constraints, network, generator)

    def steps_per_rollout(self, groups: int) -> int:
        """Agent-steps of the dual ascent beside each rollout of `groups` copies: they count as training."""
        return 0 if self._ascent is None else self._ascent.size(groups)

    def after_rollout(self, fraction: float) -> dict[str, float]:
        """One dual step; the share of the effort that is spent decides what is kept."""
        if self._ascent is None:
            return {}
        numbers = self._ascent.update()
        self._controller.keep(fraction)
        return numbers

    def companions(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"controller": self._controller} | ({} if self._ascent is None else {"ascent": self._ascent})
