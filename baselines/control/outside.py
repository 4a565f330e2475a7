"""A policy from outside: a function, an object with `predict` as of Stable-Baselines3, or a torch module as of TorchRL.

None of these libraries is imported here: a policy is known by what can be called on it.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from accord.baselines.base import Controller, Method, MethodConfig, RolloutStart
from accord.baselines.registry import register
from accord.envs.errors import UsageError
from accord.envs.plugins import import_file, reason
from accord.envs.task import Box, Step, Task

HOW = "MODULE:NAME or FILE.py:NAME, like my_policy.py:policy"


class OutsideConfig(MethodConfig):
    """Which policy, and what it is given."""

    policy: str = Field("", description=f"Where it is: {HOW}.")
    model: str = Field("", description="File that NAME loads, as a model of Stable-Baselines3 does; empty without one.")
    joint: bool = Field(False, description="Each row of its actions may depend on every agent's observation.")


@register("outside", "observations")
class Outside(Method):
    """A policy from outside, see `accord evaluate`."""

    config_type = OutsideConfig
    random = on_processor = True
    config: OutsideConfig

    def build(self, task: Task, generator: torch.Generator) -> OutsideController:
        """The policy as a controller; loaded anew, so that rollouts share nothing.

        Raises:
            UsageError: there is no such policy, or it cannot be loaded.
        """
        return OutsideController(_loaded(self.config), joint=self.config.joint)

    def modules(self) -> Sequence[str]:
        """The module that the policy is in, see `registry.NamesCode`."""
        where, name = _parts(self.config.policy)
        _object(where, name)
        return [Path(where).stem if where.endswith(".py") else where]

    def files(self) -> Sequence[Path]:
        """The file that it loads."""
        return [_model(self.config.model)] if self.config.model else []


class OutsideController(Controller):
    """Calls a policy, once per copy of the task.

    A function gets float32 arrays [N, O] and gives actions [N, A]: one row per agent, numbers inside the task's box or
    indices of discrete actions. `predict(observations, deterministic=True)` is called where there is one, with the
    observations in one row where its `observation_space` is as wide as all of them together. A torch module gets a
    tensor; of several outputs the one that its `out_keys` call `action` counts. Numbers outside the box are clamped.
    """

    def __init__(self, policy: Any, *, joint: bool) -> None:
        """Set up.

        Args:
            policy: What is called.
            joint: It makes no claim to be decentralised.
        """
        self.decentralised = not joint
        self._policy = policy

    def reset(self, start: RolloutStart) -> None:
        """Begin a rollout; a policy that draws does so from the global generators, which start alike for one seed."""
        super().reset(start)
        seed = int(torch.randint(2**31, (1,), generator=start.generator, device=start.generator.device))
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what the policy may draw from
        torch.manual_seed(seed)

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A].

        Raises:
            UsageError: the policy gave something of another shape, or that is no action.
        """
        actions = [self._checked(self._ask(copy)) for copy in step.obs.cpu()]
        return torch.stack(actions).to(step.obs.device)

    def _ask(self, obs: Tensor) -> Any:
        policy = self._policy
        if callable(getattr(policy, "predict", None)):
            array = obs.numpy().copy()
            space = getattr(getattr(policy, "observation_space", None), "shape", None)
            array = array.reshape(-1) if space == (obs.numel(),) != tuple(obs.shape[1:]) else array
            found = policy.predict(array, deterministic=True)
            return found[0] if isinstance(found, tuple) else found
        if not isinstance(policy, torch.nn.Module):
            return policy(obs.numpy().copy())
        found = policy(obs.clone())
        if not isinstance(found, tuple):
            return found
        names = [key if isinstance(key, str) else key[-1] for key in getattr(policy, "out_keys", ())]
        if "action" not in names:
            raise UsageError(f"policy: {len(found)} outputs, none called 'action'; allowed: one, or out_keys that say")
        return found[names.index("action")]

    def _checked(self, found: Any) -> Tensor:
        space, n = self.spec.action, self.spec.n_agents
        try:
            actions = torch.as_tensor(found).detach().cpu()
        except (TypeError, ValueError, RuntimeError):
            kind = type(found).__name__
            raise UsageError(f"policy: it gave a {kind}; allowed: an array [{n}, {space.size}]") from None
        if actions.is_complex():
            raise UsageError("policy: it gave complex numbers; allowed: real ones")
        if actions.shape not in ((n, space.size), (n * space.size,)):
            shape = list(actions.shape)
            raise UsageError(f"policy: it gave actions of shape {shape}; allowed: [{n}, {space.size}], a row per agent")
        actions = actions.reshape(n, space.size)
        if not bool(torch.isfinite(actions).all()):
            raise UsageError("policy: it gave an action that is not a finite number")
        if isinstance(space, Box):
            return actions.float().clamp(space.low, space.high)
        if not bool(((actions >= 0) & (actions < space.n) & (actions == actions.round())).all()):
            raise UsageError(f"policy: it gave an action that is not one of the {space.n}; allowed: 0 to {space.n - 1}")
        return actions.long()


def _loaded(config: OutsideConfig) -> Any:
    found = _object(*_parts(config.policy))
    if config.model:
        _model(config.model)
        if not callable(getattr(found, "load", None)):
            raise UsageError(f"--model: '{config.policy}' has no `load`; allowed: a class like stable_baselines3:PPO")
        try:
            return found.load(config.model)
        except Exception as fault:
            raise UsageError(f"--model: {config.model} cannot be loaded: {reason(fault)}") from None
    try:
        made = found() if isinstance(found, type) else found
    except Exception as fault:
        raise UsageError(f"POLICY: '{config.policy}' cannot be made: {reason(fault)}") from None
    if not callable(made) and not callable(getattr(made, "predict", None)):
        kind = type(made).__name__
        raise UsageError(f"POLICY: '{config.policy}' is a {kind}; allowed: a function, or an object with `predict`")
    return made


def _model(name: str) -> Path:
    if not Path(name).is_file():
        raise UsageError(f"--model: {name}: no such file")
    return Path(name)


def _parts(policy: str) -> tuple[str, str]:
    if not policy:
        raise UsageError("method 'outside': names no policy; it runs and is audited by: accord evaluate POLICY")
    where, colon, name = policy.rpartition(":")
    if not (where and colon and name):
        raise UsageError(f"POLICY: '{policy}' names no policy; allowed: {HOW}")
    return where, name


def _object(where: str, name: str) -> Any:
    try:
        module = import_file(Path(where), "POLICY") if where.endswith(".py") else importlib.import_module(where)
    except UsageError:
        raise
    except (Exception, SystemExit) as fault:
        raise UsageError(f"POLICY: {where} cannot be loaded: {reason(fault, Path(where).resolve())}") from None
    try:
        return getattr(module, name)
    except AttributeError:
        raise UsageError(f"POLICY: {where} has no '{name}'") from None
