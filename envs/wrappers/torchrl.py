"""A batch of a task as a TorchRL environment; importing this needs torchrl."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDict, TensorDictBase  # type: ignore[import-not-found]
from torch import Tensor
from torchrl.data import Bounded, Categorical, Composite, Unbounded  # type: ignore[import-not-found]
from torchrl.envs import EnvBase  # type: ignore[import-not-found]

from accord.envs.errors import UsageError
from accord.envs.task import Box, Step, Task
from accord.envs.wrappers.copies import Copies
from accord.envs.wrappers.infos import infos_of

GROUP = "agent"  # what TorchRL makes of the names agent_0, agent_1, ... in a PettingZoo environment


class TorchRLTask(EnvBase):
    """`B` copies of a task in one batch of tensors, all agents in the group `agent`, named as in `ParallelTask`.

    | key | shape |
    |---|---|
    | `agent`, `observation` | [B, N, O] |
    | `agent`, `action` | [B, N, A], or [B, N] where actions are discrete |
    | `agent`, `reward` | [B, N, 1] |
    | `agent`, `info`, NAME | [B, N] each, by the names of `infos_of`, and `alive` |
    | `agent`, `action_mask` | [B, N, n] bool, where actions are masked |
    | `state` | [B, S] |
    | `done`, `terminated`, `truncated` | [B, 1] |

    All copies begin and end together, so a reset is of all of them. An agent that stops before its copy has `alive` 0
    from then on, earns nothing, and its actions do nothing.

    Attributes:
        task: The task that is stepped.
        group_map: The agents of the one group.
    """

    def __init__(self, task: Task, copies: int, *, start: int | None = None, horizon: int | None = None) -> None:
        """Wrap a task.

        Args:
            task: Any task whose copies end together.
            copies: B, at least 1.
            start: First step of the data; None draws one for each copy at every reset.
            horizon: Steps until truncation, at least 1; None takes the task's own.

        Raises:
            UsageError: the copies, the start or the horizon are no such number.
        """
        batch = Copies(task, copies, start, horizon)
        super().__init__(device=task.device, batch_size=torch.Size([batch.count]))
        self.task, self._copies = task, batch
        self.group_map = {GROUP: [f"agent_{i}" for i in range(task.spec.n_agents)]}
        self._make_specs(batch.reset())
        batch.over = True

    def _make_specs(self, step: Step) -> None:
        """Specs of all that is shown and taken, from the spec of the task and one step [B, ...] of it."""
        spec, device, shape = self.task.spec, self.device, step.reward.shape
        infos = {name: Unbounded(shape, device=device) for name in self._infos(step)}
        group = {
            "observation": self._box(spec.obs_bounds, (*shape, spec.obs_dim)),
            "info": Composite(infos, shape=shape, device=device),
        }
        if step.action_mask is not None:
            group["action_mask"] = Categorical(2, shape=step.action_mask.shape, dtype=torch.bool, device=device)
        self.observation_spec = self._composite(
            group, state=self._box(self.task.state_bounds(), (*self.batch_size, spec.state_dim))
        )
        if isinstance(spec.action, Box):
            action = Bounded(spec.action.low, spec.action.high, (*shape, spec.action.size), device, torch.float32)
        else:
            action = Categorical(spec.action.n, shape=shape, device=device, dtype=torch.int64)
        self.action_spec = self._composite({"action": action})
        self.reward_spec = self._composite({"reward": Unbounded((*shape, 1), device=device)})
        ends = ("done", "terminated", "truncated")
        flag = Categorical(2, shape=(*self.batch_size, 1), dtype=torch.bool, device=device)
        self.done_spec = Composite({end: flag.clone() for end in ends}, shape=self.batch_size, device=device)

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDictBase:
        asked = None if tensordict is None else tensordict.get("_reset", None)
        if asked is not None and not bool(asked.all()):
            raise UsageError(
                f"environment '{self.task.spec.name}': reset of some copies; allowed is one of all of them"
            )
        return self._shown(self._copies.reset(kwargs.get("options")))

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        actions = tensordict.get((GROUP, "action"))
        step = self._copies.step(actions if isinstance(self.task.spec.action, Box) else actions[..., None])
        shown = self._shown(step)
        shown.set((GROUP, "reward"), step.reward[..., None].to(torch.float32))
        ends = {"terminated": step.terminated, "truncated": step.truncated, "done": step.terminated | step.truncated}
        return shown.update({name: end[:, None] for name, end in ends.items()})

    def _set_seed(self, seed: int | None) -> None:
        if seed is not None:
            self._copies.seed(seed)

    def _shown(self, step: Step) -> TensorDictBase:
        shape = step.reward.shape
        infos = TensorDict(self._infos(step), shape, device=self.device)
        group = TensorDict({"observation": step.obs, "info": infos}, shape, device=self.device)
        if step.action_mask is not None:
            group.set("action_mask", step.action_mask)
            self.input_spec["full_action_spec", GROUP, "action"].update_mask(step.action_mask)
        return TensorDict({GROUP: group, "state": self.task.state()}, self.batch_size, device=self.device)

    def _infos(self, step: Step) -> dict[str, Tensor]:
        columns = infos_of(self.task.spec, step) | {"alive": step.alive}
        return {name: column.to(torch.float32) for name, column in columns.items()}

    def _box(self, bounds: tuple[Tensor, Tensor], shape: tuple[int, ...]) -> Any:
        low, high = (bound.to(self.device, torch.float32).expand(shape) for bound in bounds)
        if not bool(torch.isfinite(torch.cat([low, high])).any()):
            return Unbounded(shape, device=self.device)
        return Bounded(low, high, shape, self.device, torch.float32)

    def _composite(self, group: dict[str, Any], **others: Any) -> Any:
        """Specs of the group's tensors, and of those of the whole copy."""
        shape, device = (*self.batch_size, self.task.spec.n_agents), self.device
        inner = Composite(group, shape=shape, device=device)
        return Composite({GROUP: inner, **others}, shape=self.batch_size, device=device)
