"""What a step says beside observation and reward, as named columns: the same names in every face."""

from __future__ import annotations

import torch
from torch import Tensor

from accord.envs.multipliers import equal_shares
from accord.envs.task import Step, TaskSpec

Infos = dict[str, Tensor]


def infos_of(spec: TaskSpec, step: Step) -> Infos:
    """Numbers of every agent of every copy, each [B, N], by name.

    Of the step that was just taken, in units of the resource or of `TaskSpec.units`:

    - `cost/BUDGET`: the agent's use of the budget's resource, whether the budget counted or not; 0 outside the budget
    - `limit/BUDGET`: its equal share of the limit, 0 outside the budget; over all agents these add up to the limit
    - `counted/BUDGET`: 1 where the budget counted in this step, else 0
    - `usage/RESOURCE`: its use of the resource
    - `shortfall`: of the local equality, where the task has one
    - every measure of the task by its own name; one of the whole copy is the same for all its agents

    A budget is met where Σ over agents and steps of counted·(cost − limit) is at most 0. After a reset all but limits
    and what describes the present are 0.

    Args:
        spec: The task's.
        step: Usage [B, N, R], counted [B, m], measures.
    """
    usage, shape = step.usage, step.reward.shape
    found: Infos = {}
    if spec.budgets:
        cost, limits = spec.members * usage[..., spec.resource_of], equal_shares(spec)
        for k, budget in enumerate(spec.budgets):
            found[f"cost/{budget.name}"] = cost[..., k]
            found[f"limit/{budget.name}"] = limits[:, k].expand(shape)
            found[f"counted/{budget.name}"] = step.counted[:, None, k].expand(shape)
    found |= {f"usage/{name}": usage[..., r] for r, name in enumerate(spec.resources)}
    if step.shortfall is not None:
        found["shortfall"] = step.shortfall
    for name, value in step.measures.items():
        found[name] = value if value.dim() == 2 else value[:, None].expand(shape)
    return found


def stacked(infos: Infos) -> Tensor:
    """All columns side by side in their order, float64, [B, N, K]; every float32 number stays what it is."""
    return torch.stack([column.double() for column in infos.values()], -1)
