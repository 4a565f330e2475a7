"""The whole task as an environment: every agent of every copy acts, for CTDE and for independent learners."""

from __future__ import annotations

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from accord.baselines.base import MethodConfig
from accord.baselines.multipliers.augmentation import Priced, augmented_dim, compress
from accord.baselines.multipliers.held import ConstraintConfig, Handling, HeldMultipliers
from accord.baselines.multipliers.moving import Rule
from accord.baselines.training.environment import MeanReward, Observation, Shapes, numbered, to_box
from accord.envs.errors import UsageError
from accord.envs.task import Box, Step, Task, TaskSpec

Iterate = Literal["mixture", "last"]
GUIDE, GUIDED = "approach", 0.7  # the measure that guides, and the share of the effort that it does for


class JointConfig(MethodConfig):
    """What all learners on the whole task share. `iterate`, `moving` and `constraints.dual` concern execution alone."""

    handling: Handling = Field("none", description="Where multipliers come from; see `baselines.multipliers.held`.")
    multipliers: Literal["global", "own"] = Field("global", description="One per budget, or one each on a share of it.")
    reward: Literal["decomposed", "team"] = Field("decomposed", description="Each agent's own, or the sum over all.")
    constraints: ConstraintConfig = ConstraintConfig()
    policies: Literal["shared", "per_type", "per_agent"] = Field(
        "shared", description="One network for all agents, one per agent type or one each."
    )
    agent_id: bool = Field(True, description="Without budgets: an agent sees its number. With them, its parameters.")
    shaping: bool = Field(True, description="Count rewards from the best that the grid alone could do.")
    by_size: bool = Field(False, description="Divide rewards by the size of the multipliers; for wide ranges.")
    lanes: int = Field(512, ge=1, description="Agents that act side by side in training: copies of the task times N.")
    """Unit: agents."""
    iterate: Iterate = Field("mixture", description="lagrangian: late policies in turns, or the last one.")
    moving: Rule | None = Field(
        None, description="lagrangian: how multipliers move in execution from where training left them; none: not."
    )
    guidance: float = Field(
        0.0,
        ge=0,
        description="Reward in training for a step's `approach`, where a task guides; falls to 0 over its course.",
    )

    @model_validator(mode="after")
    def _moves_what_was_learned(self) -> JointConfig:
        if self.moving is not None and self.handling != "lagrangian":
            raise ValueError(f"`moving` goes with handling lagrangian, not with {self.handling}")
        return self

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone."""
        return self.model_dump(mode="json", exclude={"iterate": True, "moving": True, "constraints": {"dual"}})

    def networks(self, spec: TaskSpec) -> Tensor | None:
        """Which network is whose, [N]; None where all agents share one."""
        if self.policies == "per_agent":
            return torch.arange(spec.n_agents, device=spec.device)
        return spec.agent_types.to(spec.device) if self.policies == "per_type" else None


def has_budgets(spec: TaskSpec, config: JointConfig, method: str) -> bool:
    """The policy sees multipliers: the task has budgets.

    Raises:
        UsageError: a handling for budgets that the task does not have.
    """
    if not spec.budgets and config.handling != "none":
        raise UsageError(
            f"method {method}: task '{spec.name}' has no budgets to handle; use the method without -suffix"
        )
    return bool(spec.budgets)


def joint_shapes(task: Task, config: JointConfig, sees_multipliers: bool, objectives: int = 1) -> Shapes:
    """Shapes of the environment over a task."""
    spec = task.spec
    if not sees_multipliers:
        return Shapes(spec.obs_dim + config.agent_id * spec.n_agents, spec.state_dim, spec.action, objectives)
    shown = len(spec.budgets) * (spec.n_agents if config.multipliers == "own" else 1) + spec.n_agents
    return Shapes(augmented_dim(spec), spec.state_dim + shown, spec.action, objectives)


class JointEnvironment:
    """All agents of some copies of a task; a copy is a group.

    With budgets, agents see and are rewarded at multipliers (`Priced`), and the state holds them as well: one λ per
    budget, or every agent's where they have their own, and every agent's ν.
    The team's reward is the sum over agents in base loads, not the mean.
    """

    _priced: Priced
    _last: Step

    def __init__(
        self,
        task: Task,
        config: JointConfig,
        sees_multipliers: bool,
        held: HeldMultipliers | None,
        gamma: float,
        generator: torch.Generator,
    ) -> None:
        """Set up.

        Args:
            task: What to learn.
            config: Settings.
            sees_multipliers: The task has budgets.
            held: Multipliers of the episode that begins; None to draw them.
            gamma: The learner's discount, for shaping.
            generator: Source of every draw.
        """
        self._task, self._config, self._held, self._generator = task, config, held, generator
        self._gamma = gamma if config.shaping else None
        self._sees_multipliers = sees_multipliers
        self.name, self.shapes = task.spec.name, joint_shapes(task, config, sees_multipliers)
        self.groups, self.agents = max(1, config.lanes // task.spec.n_agents), task.spec.n_agents
        self.horizon = task.spec.horizon
        self.weights = torch.ones(1, device=task.device)
        self._reward = MeanReward()
        self._plant: dict[str, Tensor] = {}
        self._guidance = config.guidance
        if config.guidance:
            task.guide(True)

    def reset(self) -> Observation:
        """Start all copies; drawn multipliers stay for the episode, held ones until `refresh`."""
        spec, shape = self._task.spec, (self.groups, self.agents)
        if not self._sees_multipliers:
            step = self._task.reset(self.groups, self._generator)
            self._over = step.terminated
            return self._view(step, step.obs)
        if self._held is None:
            drawn = self._config.constraints.draw.draw(spec, shape, self._generator)
            multipliers, nu = (value.to(self._task.device) for value in drawn)
            if self._config.multipliers == "global":
                multipliers = multipliers[:, :1]
            # States of every kind: which of them a policy meets depends on multipliers that it will be given.
            step = self._task.reset(self.groups, self._generator, initial="random")
        else:
            multipliers, nu = self._held.expand(*shape)
            # Multipliers follow from what is used, so the plant goes on from where the last episode left it.
            step = self._task.reset(self.groups, self._generator, initial=self._plant or "zero")
        return self._view_at(step, multipliers, nu)

    def step(self, actions: Tensor) -> tuple[Observation, Tensor, Tensor]:
        """Act; see `Environment.step`."""
        spec = self._task.spec
        given = to_box(actions, spec.action) if isinstance(spec.action, Box) else actions
        step = self._task.step(given)
        if self._sees_multipliers:
            obs, reward = self._priced.advance(step)
            self._plant = {name: step.measures[name] for name in spec.plant}
            reward = reward * spec.agent_scale if self._config.reward == "team" else reward
        else:
            obs, reward = step.obs, step.reward
            if self._guidance:
                reward = reward + self._guidance * step.measures[GUIDE]
            self._over = self._over | step.terminated | step.truncated
        self._last, ended = step, step.terminated[:, None] | ~step.alive
        if self._config.reward == "team":
            reward = reward.sum(-1, keepdim=True).expand_as(reward)
        self._reward.add(reward)
        return self._view(step, obs), self._objectives(step, reward), ended

    def refresh(self, view: Observation) -> Observation:
        """Held multipliers may have moved in training: price what comes with those of now."""
        if self._held is None or not self._sees_multipliers:
            return view
        return self._view_at(self._last, *self._held.expand(self.groups, self.agents))

    def anneal(self, fraction: float) -> None:
        """Guidance falls linearly, to nothing when `GUIDED` of the effort is spent."""
        if self._guidance:
            self._guidance = self._config.guidance * max(0.0, 1.0 - fraction / GUIDED)
            self._task.guide(self._guidance > 0)

    def measures(self) -> dict[str, float]:
        """Mean reward per agent-step since the last call."""
        return {"reward": self._reward.read()}

    def state_dict(self) -> dict[str, Any]:
        """The plant as the last episode left it."""
        return {"plant": self._plant}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._plant = state["plant"]

    def _view_at(self, step: Step, multipliers: Tensor, nu: Tensor) -> Observation:
        """What is seen at these multipliers; a copy, since the dual ascent moves held ones in place."""
        multipliers, nu, self._last = multipliers.clone(), nu.clone(), step
        self._priced = Priced(self._task, multipliers, nu, self._gamma, self._config.by_size)
        shown = multipliers if self._config.multipliers == "own" else multipliers[:, :1]
        self._shown = torch.cat([compress(shown.flatten(1)), compress(nu)], -1)  # [B, m + N] or [B, N·m + N]
        return self._view(step, self._priced.see(step))

    def _objectives(self, step: Step, reward: Tensor) -> Tensor:
        """Rewards [B, N, R]: one objective."""
        return reward[..., None]

    def _view(self, step: Step, obs: Tensor) -> Observation:
        state = self._task.state()
        if self._sees_multipliers:
            return Observation(obs, torch.cat([state, self._shown], -1))
        seen = numbered(obs) if self._config.agent_id else obs
        return Observation(seen, state, step.alive & ~self._over[:, None], step.action_mask)
