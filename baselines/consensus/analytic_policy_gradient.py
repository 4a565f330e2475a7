"""State augmentation trained by the gradient through the task's own dynamics, executed as the consensus method is.

A separable task is differentiable: what an action changes in the hours after it is a matter of its own agent. So where
PPO estimates how a reward depends on an action from noise in the action, here autograd follows rewards, plant and
policy through the hours of a window, and the policy climbs

    J(θ) = E Σ_t γ^t (r0 − λ·u + ν·s)

with λ and ν drawn as for PPO. Rewards are shaped (`Priced`), so what a window leaves waiting or stored counts at its
end. A step of Adam that moves the actions further than a trust region allows is shortened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from accord.baselines.base import Method, Training
from accord.baselines.consensus.controller import RULES, ConsensusController, PricedConfig
from accord.baselines.multipliers.augmentation import augmented_dim
from accord.baselines.registry import register
from accord.baselines.training.actors import GaussianActor, make_actor
from accord.baselines.training.environment import Observation, stacked
from accord.baselines.training.finite import check_finite
from accord.baselines.training.loop import train
from accord.baselines.training.progress import Stateful
from accord.baselines.training.single_agents import AugmentedEnvironment, check_alone
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Task

SAVES = 20  # checkpoints over a training: its episodes are short


class AnalyticPolicyGradientConfig(PricedConfig):
    """Settings; `rule` and `dual` concern execution alone."""

    lr: float = Field(1e-3, gt=0, description="Adam's first step size; it falls to a tenth.")
    gamma: float = Field(0.98, gt=0, le=1, description="Discount per step.")
    window: int = Field(24, ge=1, description="Steps that a gradient goes through, at most an episode's.")
    """Unit: steps."""
    copies: int = Field(4, ge=1, description="Copies of the task in training, each with a start of its own.")
    """Unit: copies."""
    agents: int = Field(8, ge=1, description="Agents drawn per copy and episode.")
    """Unit: agents."""
    hidden: tuple[PositiveInt, ...] = Field((64, 64), min_length=1, description="Widths of the policy's hidden layers.")
    """Unit: neurons."""
    log_std: float = Field(-1.2, description="First log standard deviation of the actions in training.")
    """Unit: log of half boxes."""
    log_std_end: float = Field(-2.0, description="Last log standard deviation; it moves linearly.")
    """Unit: log of half boxes."""
    clip: float = Field(1.0, gt=0, description="Largest norm of a gradient.")
    region: float = Field(0.1, gt=0, description="How far a step may move the actions, root mean square.")
    """Unit: half widths of the action's box."""


class AnalyticPolicyGradient(Method):
    """Climbs the gradient of an episode's Lagrangian through the dynamics, for every price at once."""

    config_type = AnalyticPolicyGradientConfig
    identity = "baselines.consensus.AnalyticPolicyGradient"
    learns = True
    random = True
    config: AnalyticPolicyGradientConfig

    def __init__(self, config: AnalyticPolicyGradientConfig) -> None:
        """Drawn multipliers serve every level of a budget; found ones belong to one."""
        super().__init__(config)
        self.training_scope = "population" if config.prices == "drawn" else "scenario"

    def build(self, task: Task, generator: torch.Generator) -> ConsensusController:
        """An untrained controller; see `Method.build`."""
        return self._controller(self.actor(task, generator), task)

    def train(self, task: Task, network: Network, training: Training) -> ConsensusController:
        """Train one policy for all agents; see `Method.train`."""
        config = self.config
        actor = self.actor(task, training.generator)
        controller = self._controller(actor, task)
        prices = controller.found or config.draw
        env = DifferentiableEnvironment(
            task, prices, config.copies, config.agents, training.generator, shaping_gamma=config.gamma
        )
        config = config.model_copy(update={"window": min(config.window, env.horizon)})
        train(
            env,
            Climber(actor, env, config, training.generator),
            training,
            steps_per_rollout=config.window,
            rollouts_per_episode=env.horizon // config.window,
            learned=controller.state_dict,
            saves=SAVES,
        )
        return controller

    def _controller(self, actor: GaussianActor, task: Task) -> ConsensusController:
        return ConsensusController(self.config, [actor], found=self.config.found_prices(task.spec))

    def actor(self, task: Task, generator: torch.Generator) -> GaussianActor:
        """An untrained policy for all agents of a separable task with a box of actions."""
        check_alone("apg", task)
        spec = task.spec
        actor = make_actor(
            spec.action, augmented_dim(spec), self.config.hidden, generator, log_std=self.config.log_std
        ).to(task.device)
        assert isinstance(actor, GaussianActor)
        return actor


class DifferentiableEnvironment(AugmentedEnvironment):
    """Single agents whose plants and rewards autograd follows."""

    def cut(self) -> None:
        """Forget how the present came about: gradients go no further back."""
        for part in (self._task, self._priced):
            for name, value in vars(part).items():
                if isinstance(value, Tensor) and value.requires_grad:
                    setattr(part, name, value.detach())


class Clamped(torch.autograd.Function):
    """Clamps to [-1, 1], and lets gradients of a loss through that lead back inside.

    The box of actions has no slope beyond its ends: a policy that was once driven there would never come back.
    """

    @staticmethod
    def forward(ctx: Any, draw: Tensor) -> Tensor:
        """The nearest number in [-1, 1]."""
        ctx.save_for_backward(draw)
        return draw.clamp(-1.0, 1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient where descending it does not lead further out."""
        (draw,) = ctx.saved_tensors
        outward = ((draw > 1.0) & (gradient < 0)) | ((draw < -1.0) & (gradient > 0))
        return gradient.masked_fill(outward, 0.0)


class Climber:
    """The `Learner` of the loop: a window's rewards as a graph, then one step of Adam within the trust region.

    Attributes:
        actor: What learns.
        seen: Observations of the last window, [steps · copies · agents, 1, O].
        objective: J of the last window, whose graph leads to the actor's weights.
    """

    def __init__(
        self,
        actor: GaussianActor,
        env: DifferentiableEnvironment,
        config: AnalyticPolicyGradientConfig,
        generator: torch.Generator,
    ) -> None:
        """Set up.

        Args:
            actor: What learns.
            env: What to learn in.
            config: Settings.
            generator: Source of every draw.
        """
        self.actor, self._env, self._config, self._generator = actor, env, config, generator
        self.lr, self._done = config.lr, 0
        self.parameters = sum(p.numel() for p in actor.parameters())
        self.optimiser = torch.optim.Adam(actor.parameters(), config.lr)

    def kept(self) -> Mapping[str, Stateful]:
        """See `Learner.kept`."""
        return {"actor": self.actor, "optimiser": self.optimiser}

    def begin(self) -> None:
        """An episode begins; a policy without memory has nothing to forget."""
        self._done = 0

    def collect(self, seen: Observation, fraction: float) -> Observation:
        """Act for a window; see `Learner.collect`."""
        config, actor = self._config, self.actor
        actor.log_std.fill_(config.log_std + (config.log_std_end - config.log_std) * fraction)
        self._env.cut()
        obs = seen.obs.detach()
        self.objective, rows = obs.new_zeros(()), []
        for step in range(config.window):
            draw, _, _ = actor.sample(obs, None, self._generator)
            row = {"obs": obs.detach(), "state": seen.state, "action": draw.detach()}
            seen, reward, _ = self._env.step(Clamped.apply(draw))
            self.objective = self.objective + config.gamma**step * reward.mean()
            rows.append(row | {"reward": reward.detach()})
            obs = seen.obs
        if torch.is_grad_enabled() and not self.objective.requires_grad:
            raise UsageError(
                f"method apg: rewards of task '{self._env.name}' have no gradient, so it cannot be followed"
            )
        batch = stacked(rows)
        check_finite(self._env, batch, Observation(obs.detach(), seen.state), self._done)
        self.seen, self._done = batch["obs"].flatten(0, 1), self._done + config.window
        return seen

    def update(self, fraction: float) -> dict[str, float]:
        """One step upwards; numbers for the log: the gradient's norm, and how far the actions moved."""
        config, actor = self._config, self.actor
        self.optimiser.zero_grad()
        (-self.objective).backward()
        norm = nn.utils.clip_grad_norm_(actor.parameters(), config.clip)
        before = [weight.detach().clone() for weight in actor.parameters()]
        seen = self.seen
        with torch.no_grad():
            acted = actor.mode(seen, None)[0]
            self.optimiser.step()
            moved = self._moved(seen, acted)
            while moved > config.region:
                for now, then in zip(actor.parameters(), before, strict=True):
                    now.lerp_(then, 0.5)
                moved = self._moved(seen, acted)
        return {"gradient": float(norm), "moved": moved}

    def _moved(self, seen: Tensor, acted: Tensor) -> float:
        """Root mean square by which mean actions differ from those that were."""
        return float((self.actor.mode(seen, None)[0] - acted).square().mean().sqrt())


for rule, sees in RULES.items():
    register(f"apg-{rule}", sees, rule=rule)(AnalyticPolicyGradient)
    register(f"apg-moving-{rule}", sees, rule=rule, prices="found")(AnalyticPolicyGradient)
