"""The Q-learning trunk of IQL, VDN and QMIX: replayed sequences, double-Q TD(λ) targets, and what mixes the values.

VDN adds the agents' values up (Sunehag et al., 2018), QMIX mixes them monotonically with weights made from the
state (Rashid et al., 2018). Actions are discrete. Tensors are [T, B, A, ·]: steps, sequences, agents.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from accord.baselines.base import Training
from accord.baselines.training.actors import QNetwork, forbid
from accord.baselines.training.environment import Environment, Observation, Shapes, stacked
from accord.baselines.training.finite import check_finite
from accord.baselines.training.joint import JointConfig
from accord.baselines.training.loop import Callback, train
from accord.baselines.training.models import Body, ValueNormaliser, make_body
from accord.baselines.training.progress import Stateful
from accord.baselines.training.replay import Replay
from accord.envs.task import Discrete

SAVES = 10  # checkpoints hold the replay and are large


class ValueConfig(JointConfig):
    """Settings of IQL, VDN and QMIX, after EPyMARL's where batches of copies and TD(λ) do not ask for others.

    `evaluation_epsilon` concerns execution alone.
    """

    mixer: Literal["none", "sum", "monotonic"] = Field("monotonic", description="IQL, VDN or QMIX.")
    levels: int = Field(5, ge=2, description="Grid points per dimension of a box of actions, its ends included.")
    """Unit: points."""
    hidden: tuple[PositiveInt, ...] = Field((128, 128), min_length=1, description="Widths of the agents' layers.")
    """Unit: neurons."""
    recurrent: bool = Field(False, description="With a GRU behind the first layer.")
    mixer_width: int = Field(32, ge=1, description="Width of the mixer.")
    """Unit: neurons."""
    hyper_width: int = Field(64, ge=1, description="Width of the networks that make the mixer's weights.")
    """Unit: neurons."""
    lr: float = Field(5e-4, gt=0, description="Adam's step size at the start; it falls linearly to a tenth.")
    gamma: float = Field(0.99, gt=0, le=1, description="Discount per step.")
    td_lambda: float = Field(0.8, ge=0, le=1, description="Decay of the return's later steps; 0 for one step.")
    double: bool = Field(True, description="The learned network picks the next action, the target one values it.")
    sequence: int = Field(24, ge=1, description="Most steps that are collected, kept and replayed in a row.")
    """Unit: steps."""
    lanes: int = Field(256, ge=1, description="Agents that act side by side in training: copies of the task times N.")
    """Unit: agents."""
    buffer: int = Field(2048, ge=1, description="Sequences that are kept, each of all agents of a copy.")
    """Unit: sequences."""
    batch: int = Field(32, ge=1, description="Sequences per gradient step, each of all agents of a copy.")
    """Unit: sequences."""
    updates: int = Field(4, ge=1, description="Gradient steps per collected sequence of all copies.")
    """Unit: gradient steps."""
    target_update: int = Field(20, ge=1, description="Gradient steps between copies to the target network.")
    """Unit: gradient steps."""
    epsilon_start: float = Field(1.0, ge=0, le=1, description="First share of random actions.")
    epsilon_end: float = Field(0.05, ge=0, le=1, description="Last one.")
    epsilon_share: float = Field(0.3, gt=0, le=1, description="Share of the effort over which it falls, linearly.")
    evaluation_epsilon: float = Field(0.0, ge=0, le=1, description="Share of random actions in execution.")
    normalise: bool = Field(True, description="Learn values in units of the running mean and scale of returns.")
    max_grad_norm: float = Field(10.0, gt=0, description="Gradients are scaled down to this norm.")

    @property
    def bootstrap(self) -> float:
        """What the value of what comes after a step is multiplied with."""
        return self.gamma

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone."""
        return {key: value for key, value in super().training_key().items() if key != "evaluation_epsilon"}


class TeamValue(nn.Module):
    """The agents' network, shared by all of them or by those of a type, and what mixes their values."""

    def __init__(
        self,
        shapes: Shapes,
        n_agents: int,
        config: ValueConfig,
        generator: torch.Generator,
        types: Tensor | None = None,
    ) -> None:
        """Draw the first weights.

        Args:
            shapes: Of what the environment shows and takes.
            n_agents: A.
            config: Settings.
            generator: Source of the first weights.
            types: Each agent's network where they have several, [A].
        """
        super().__init__()
        assert isinstance(shapes.action, Discrete)
        body = make_body(types, shapes.obs_dim, shapes.action.n, config.hidden, generator, memory=config.recurrent)
        self.agent = QNetwork(body)
        self.mixer: Monotonic | None = None
        if config.mixer == "monotonic":
            self.mixer = Monotonic(shapes.state_dim, n_agents, config.mixer_width, config.hyper_width, generator)
        self._team = config.mixer != "none"
        self._unit = 1 / n_agents if config.normalise else 1.0

    def mix(self, chosen: Tensor, state: Tensor) -> Tensor:
        """The team's value [T, B, 1] of agents' values [T, B, A] in states [T, B, S]; without a team, as they are."""
        if self.mixer is not None:
            return self.mixer(chosen, state)
        return chosen.sum(-1, keepdim=True) * self._unit if self._team else chosen


class Monotonic(nn.Module):
    """QMIX's mixer: one hidden layer whose weights the state makes, non-negative, so that no agent's gain is a loss.

    What makes them has normalised layers: without, bootstrapped values of simple spread grow without limit.
    """

    def __init__(self, state_dim: int, n_agents: int, width: int, hyper: int, generator: torch.Generator) -> None:
        """Draw the first weights.

        Args:
            state_dim: S.
            n_agents: A.
            width: Of the mixer.
            hyper: Width of what makes its weights.
            generator: Source of the first weights.
        """
        super().__init__()
        self._shape = (n_agents, width)
        self.first = Body(state_dim, n_agents * width, (hyper,), generator, output_gain=0.1, normed=True)
        self.first_bias = Body(state_dim, width, (), generator, output_gain=0.1)
        self.second = Body(state_dim, width, (hyper,), generator, output_gain=0.1, normed=True)
        self.second_bias = Body(state_dim, 1, (width,), generator, normed=True)

    def forward(self, chosen: Tensor, state: Tensor) -> Tensor:
        """[T, B, 1] of values [T, B, A] and states [T, B, S]."""
        first = self.first(state)[0].abs().unflatten(-1, self._shape)
        # Products this small take many times as long one by one as together.
        hidden = functional.elu((chosen[..., None] * first).sum(-2) + self.first_bias(state)[0])
        mixed = (hidden * self.second(state)[0].abs()).sum(-1, keepdim=True)
        return mixed + self.second_bias(state)[0]


def train_values(
    env: Environment,
    values: TeamValue,
    config: ValueConfig,
    training: Training,
    *,
    learned: Callable[[], dict[str, Any]],
    callback: Callback | None = None,
) -> tuple[int, float]:
    """Train `values` in place until the effort is spent.

    Args:
        env: What to learn in, with discrete actions.
        values: What learns.
        config: Settings.
        training: Effort, draws, log (called after each collected sequence) and checkpoint.
        learned: What a controller needs of what was learned, for snapshots.
        callback: What happens beside the learning.

    Returns:
        Agent-steps done and seconds spent, those before an interruption included.
    """
    per_episode = -(-env.horizon // config.sequence)
    length = -(-env.horizon // per_episode)  # sequences of one length, so that no episode ends early in its last
    return train(
        env,
        _QLearning(env, values, config, length, training.generator),
        training,
        steps_per_rollout=length,
        rollouts_per_episode=per_episode,
        learned=learned,
        callback=callback,
        saves=SAVES,
    )


class _QLearning:
    """The `Learner` of the loop."""

    def __init__(
        self, env: Environment, values: TeamValue, config: ValueConfig, length: int, generator: torch.Generator
    ) -> None:
        self._env, self._values, self._config, self._length, self._generator = env, values, config, length, generator
        self._learner = _Learner(values, config)
        self._replay = Replay(max(config.buffer, env.groups), next(values.parameters()).device)
        self.optimiser, self.lr = self._learner.optimiser, config.lr
        self.parameters = sum(part.numel() for part in values.parameters())

    def kept(self) -> dict[str, Stateful]:
        return {"learner": self._learner, "replay": self._replay}

    def begin(self) -> None:
        self._memory, self._done = self._values.agent.start(self._env.groups, self._env.agents), 0

    def collect(self, seen: Observation, fraction: float) -> Observation:
        epsilon = _epsilon(self._config, fraction)
        seen, self._memory, collected = _collect(
            self._env, self._values.agent, seen, self._memory, self._length, epsilon, self._generator
        )
        check_finite(self._env, collected, seen, self._done)
        self._done += self._length
        self._replay.add(collected)
        return seen

    def update(self, fraction: float) -> dict[str, float]:
        config, replay = self._config, self._replay
        losses = [self._learner.update(replay.sample(config.batch, self._generator)) for _ in range(config.updates)]
        return {"loss": float(torch.stack(losses).mean()), "epsilon": _epsilon(config, fraction)}


class _Learner:
    """Gradient steps on replayed sequences."""

    def __init__(self, values: TeamValue, config: ValueConfig) -> None:
        self._values, self._config = values, config
        self._normaliser = ValueNormaliser(1, decay=0.99).to(next(values.parameters()).device)
        self._target = copy.deepcopy(values).requires_grad_(False)
        # The target's values keep the units of their time: in moving ones returns would feed on themselves.
        self._target_units = copy.deepcopy(self._normaliser)
        self.optimiser = torch.optim.Adam(values.parameters(), lr=config.lr, eps=1e-5, fused=True)
        self._updates = 0

    def update(self, batch: dict[str, Tensor]) -> Tensor:
        """One gradient step; the loss."""
        config, values = self._config, self._values
        memory = batch["memory"][0] if "memory" in batch else None
        every, _ = values.agent.values(batch["obs"], memory)  # [T + 1, B, A, n]
        chosen = every[:-1].gather(-1, batch["action"]).squeeze(-1)
        alive = batch.get("valid")
        if alive is not None:
            chosen = chosen * alive[:-1]
        mixed = values.mix(chosen, batch["state"][:-1])
        returns, valid = self._returns(batch, every.detach(), memory)
        if config.normalise:
            self._normaliser.update((returns if valid is None else returns[valid]).reshape(-1, 1))
            returns = self._normaliser.normalise(returns)
        square = (mixed - returns).square()
        loss = square.mean() if valid is None else (square * valid).sum() / valid.sum().clamp_min(1)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(values.parameters(), config.max_grad_norm)
        self.optimiser.step()
        self._updates += 1
        if self._updates % config.target_update == 0:
            self._target.load_state_dict(values.state_dict())
            self._target_units.load_state_dict(self._normaliser.state_dict())
        return loss.detach()

    @torch.no_grad()
    def _returns(self, batch: dict[str, Tensor], every: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """TD(λ) returns [T, B, A or 1] in reward units, and which of them count."""
        config = self._config
        mask = batch["mask"][1:] if "mask" in batch else None
        next_values = self._target.agent.values(batch["obs"], memory)[0][1:]
        judge = every[1:] if config.double else next_values
        best = forbid(judge, mask).max(-1, keepdim=True).indices  # faster than argmax
        following = next_values.gather(-1, best).squeeze(-1)
        reward, ended, alive = batch["reward"], batch["ended"], batch.get("valid")
        if alive is not None:
            following = following * ~ended  # a time limit ends an episode too, but not what is still to come
        following = self._target.mix(following, batch["state"][1:])
        if config.normalise:
            following = self._target_units.denormalise(following)
        if config.mixer != "none":
            reward, ended = reward[..., :1], ended.all(-1, keepdim=True)
            alive = None if alive is None else alive.any(-1, keepdim=True)
        future = config.bootstrap * (~ended)
        goes_on = torch.ones_like(future) if alive is None else alive[1:].float()
        # reward + future · lerp(following, what comes back, λ): all but the last factor is known for all steps.
        decay = config.td_lambda * goes_on
        carry, returns = following[-1], []
        steps = zip((reward + future * (1 - decay) * following).unbind(), (future * decay).unbind(), strict=True)
        for known, back in reversed(list(steps)):
            carry = torch.addcmul(known, back, carry)
            returns.append(carry)
        returned = torch.stack(returns[::-1])
        return returned, None if alive is None else alive[:-1]

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()} | {"updates": self._updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self._updates = state["updates"]

    def _parts(self) -> dict[str, Any]:
        return {
            "values": self._values,
            "target": self._target,
            "normaliser": self._normaliser,
            "target_units": self._target_units,
            "optimiser": self.optimiser,
        }


@torch.no_grad()
def _collect(
    env: Environment,
    agent: QNetwork,
    view: Observation,
    memory: Tensor | None,
    length: int,
    epsilon: float,
    generator: torch.Generator,
) -> tuple[Observation, Tensor | None, dict[str, Tensor]]:
    """Sequences [T, B, ...] of all copies; what is seen has one step more."""
    seen: list[dict[str, Tensor | None]] = [_seen(view)]
    done: list[dict[str, Tensor | None]] = []
    before = memory
    for _ in range(length):
        action, memory = agent.explore(view, memory, epsilon, generator)
        view, reward, ended = env.step(action)
        done.append({"action": action, "reward": reward.squeeze(-1), "ended": ended})
        seen.append(_seen(view))
    return view, memory, stacked([{"memory": before}]) | stacked(seen) | stacked(done)


def _seen(view: Observation) -> dict[str, Tensor | None]:
    return {"obs": view.obs, "state": view.state, "valid": view.valid, "mask": view.mask}


def _epsilon(config: ValueConfig, fraction: float) -> float:
    left = max(0.0, 1 - fraction / config.epsilon_share)
    return config.epsilon_end + (config.epsilon_start - config.epsilon_end) * left
