"""Multipliers in execution: how each agent moves its own, and how neighbours agree on them.

Equations are those of Amaya-Corredor, Jonsson and Calvo-Fullana, Algorithm 1, with usage in base loads
and multipliers in mean prices. λ, μ [B, N, m] belong to the shared budgets, ν [B, N] to the local equality.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from accord.baselines.base import RolloutStart
from accord.envs.task import Step, TaskSpec

Rule = Literal["gossip", "primal_dual", "primal_dual_symmetric", "independent", "broadcast", "central"]
NEIGHBOURS = "own observation, multipliers from neighbours"
# What each rule lets an agent see in execution, in the words of the tables.
SEES: dict[Rule, str] = {
    "gossip": NEIGHBOURS,
    "primal_dual": NEIGHBOURS,
    "primal_dual_symmetric": NEIGHBOURS,
    "independent": "own observation, own multipliers",
    "broadcast": "own observation, multipliers averaged centrally",
    "central": "own observation; multipliers set centrally",
}


class DualConfig(BaseModel):
    """Steps, limits and starts of the multipliers; `tuned.yaml` has those of the methods that were searched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: float = Field(0.15, ge=0, description="Step of λ, mean prices per unit of excess.")
    """Unit: mean prices per unit of excess."""
    unit: Literal["base_load", "share"] = Field(
        "base_load", description="Unit of excess: the district's base load, or an agent's mean part of the budget."
    )
    beta: float = Field(0.03, ge=0, description="Step of the consensus multiplier μ (primal-dual rules).")
    eta: float = Field(0.1, ge=0, description="Step of ν, mean prices per base load of shortfall.")
    """Unit: mean prices per base load."""
    rounds: int = Field(1, ge=1, description="Gossip rounds per step, K.")
    """Unit: rounds of gossip."""
    mixing: Literal["plain", "chebyshev"] = Field("plain", description="How K rounds are combined.")
    mix_active_only: bool = Field(False, description="Exchange only the budgets that count now.")
    step_rule: Literal["constant", "diminishing", "pi"] = Field("constant", description="How α changes.")
    half_life: float = Field(500.0, gt=0, description="diminishing: α/√(1 + t/half_life) after t steps.")
    """Unit: steps."""
    proportional: float = Field(
        0.2, ge=0, description="pi: gain on the change of the excess, mean prices per base load."
    )
    """Unit: mean prices per base load."""
    share: Literal["equal", "own_peak"] = Field("equal", description="Each agent's part of a budget.")
    tighten: float = Field(0.03, ge=0, lt=1, description="Aim below the budget by this share.")
    lambda_start: float = Field(0.0, ge=0, description="First λ.")
    """Unit: mean prices."""
    lambda_max: float = Field(4.0, gt=0, description="λ is held at or below this; see the metric `cut`.")
    """Unit: mean prices."""
    nu_start: float = Field(-3.0, description="First ν.")
    """Unit: mean prices."""
    nu_max: float = Field(4.0, gt=0, description="ν is held within ± this.")
    """Unit: mean prices."""


class Multipliers:
    """The multipliers of one rollout.

    Attributes:
        lam: λ [B, N, m].
        nu: ν [B, N].
        cut: [B, m] what the limit λ_max took from the dual steps so far, as use of a budget that no price answered:
            Σ over agents and steps, in agents' mean parts of the budget, per agent. Counted with the constant step α,
            also where steps diminish.
    """

    def __init__(
        self, rule: Rule, config: DualConfig, start: RolloutStart, first: tuple[Tensor, Tensor] | None = None
    ) -> None:
        """Set up.

        Args:
            rule: How they are agreed on.
            config: Steps, limits and first values.
            start: Of the rollout: the budgets, who can talk to whom, number of copies.
            first: λ [B, N, m] and ν [B, N] to start from, in place of the settings'.
        """
        spec, batch = start.spec, start.batch
        self._rule, self._config, self._network = rule, config, start.network
        device = spec.device
        shape = (batch, spec.n_agents, len(spec.budgets))
        if first is None:
            self.lam = torch.full(shape, config.lambda_start, device=device)
            self.nu = torch.full(shape[:2], config.nu_start, device=device)
        else:
            self.lam, self.nu = (value.clone() for value in first)
        self.cut = torch.zeros(batch, shape[-1], device=device)
        self._mu = torch.zeros(shape, device=device)
        self._last_excess = torch.zeros(shape, device=device)
        self._steps = 0
        self.aim(spec)

    def aim(self, spec: TaskSpec) -> None:
        """Take the budgets of `spec` for those to meet from now on."""
        config = self._config
        self._spec, self._members = spec, spec.members
        self._share = (1 - config.tighten) * shares(spec, config.share) / spec.usage_scale  # [N or 1, m], base loads
        # One number for all agents alike, whatever the unit: else an average of λ would not enforce the budget.
        mean_share = spec.limits / spec.member_counts / spec.usage_scale
        self._unit = mean_share.clamp_min(1e-6) if config.unit == "share" else torch.ones_like(mean_share)
        self._per_cut = cut_unit(spec, config)

    def update(self, step: Step) -> None:
        """Take the outcome of one step: move λ by its gradient, talk, move ν."""
        config, spec = self._config, self._spec
        usage = step.usage[..., spec.resource_of] if len(spec.resources) > 1 else step.usage
        counted = step.counted[:, None]
        excess = counted * self._members * (usage / spec.usage_scale - self._share) / self._unit  # [B, N, m]
        before = self.lam
        moved = before + self._ascent(excess, counted)
        if self._rule in ("primal_dual", "primal_dual_symmetric"):
            self.lam = self._clip(moved - config.alpha * self._mu)
            self._mu = self._mu + config.beta * self._disagreement(before)
        elif self._rule == "central":
            # One multiplier per budget, moved by what the whole district uses: projected after the average.
            self.lam = self._clip(self._network.mean(moved).expand_as(moved))
        else:
            self.lam = self._talk(self._clip(moved), counted)
        if step.shortfall is not None:
            scaled = step.shortfall / spec.usage_scale
            self.nu = (self.nu - config.eta * scaled).clamp(-config.nu_max, config.nu_max)
        self._steps += 1

    def disagreement_bound(self, largest_excess: float) -> float | None:
        """See `Controller.disagreement_bound`; None but for plain gossip with a constant step.

        Limsup ‖λ − λ̄‖₂/√N ≤ α·G·σ^K/(1 − σ^K) (triangle inequality), G the largest |excess|.
        """
        dual, spec = self._config, self._spec
        if self._rule != "gossip" or dual.mixing != "plain" or dual.step_rule != "constant" or dual.share != "equal":
            return None
        # Agents that aim below the budget see a larger excess, by as much as they aim below.
        limits = spec.limits / spec.member_counts / spec.usage_scale
        largest = largest_excess + dual.tighten * float(limits.max())
        unit = float(limits.min()) if dual.unit == "share" else 1.0
        return self._network.consensus_bound(dual.alpha, largest / unit, dual.rounds) / spec.n_agents**0.5

    def _clip(self, lam: Tensor) -> Tensor:
        """λ within its limits; what the upper one takes is added up."""
        config, over = self._config, (lam - self._config.lambda_max).clamp_min(0.0)
        if config.alpha > 0:
            self.cut += over.mean(1) * self._per_cut
        return lam.clamp(0.0, config.lambda_max)

    def _ascent(self, excess: Tensor, counted: Tensor) -> Tensor:
        config = self._config
        if config.step_rule == "diminishing":
            return config.alpha / (1 + self._steps / config.half_life) ** 0.5 * excess
        if config.step_rule == "pi":
            change = counted * (excess - self._last_excess)
            self._last_excess = torch.where(counted > 0, excess, self._last_excess)
            return config.alpha * excess + config.proportional * change
        return config.alpha * excess

    def _talk(self, lam: Tensor, counted: Tensor) -> Tensor:
        config, network = self._config, self._network
        if self._rule == "independent":
            return lam
        if self._rule == "broadcast":
            return network.mean(lam).expand_as(lam).contiguous()
        if not config.mix_active_only:
            return network.mix(lam, config.rounds, config.mixing)
        # All copies share one clock only in execution; the active budgets are those of the first copy.
        active = counted[0, 0].nonzero().flatten()
        lam = lam.clone()
        lam[..., active] = network.mix(lam[..., active], config.rounds, config.mixing)
        return lam

    def _disagreement(self, before: Tensor) -> Tensor:
        """What moves μ: eq. (11) as printed, with the old λ, or its symmetric form with the new one."""
        if self._rule == "primal_dual":
            return before - self._network.neighbour_mean(before)
        return self.lam - self._network.mix(self.lam)


def rounds_of(rule: Rule, config: DualConfig) -> int:
    """Hops that a multiplier travels in one step; see `Controller.rounds`."""
    return {"gossip": config.rounds, "independent": 0}.get(rule, 1)


def cut_unit(spec: TaskSpec, config: DualConfig) -> Tensor:
    """From a mean over agents of what λ loses at its limit to use of a budget, in parts of its limit, [m]."""
    mean_share = (spec.limits / spec.member_counts / spec.usage_scale).clamp_min(1e-6)
    unit = mean_share if config.unit == "share" else torch.ones_like(mean_share)
    weight = spec.n_agents / spec.member_counts  # agents that a budget does not count never reach the limit
    return weight * unit / mean_share / max(config.alpha, 1e-12)


def shares(spec: TaskSpec, share: str) -> Tensor:
    """Each member's part of each budget in units of the resource, [1 or N, m]."""
    if share == "equal":
        return (spec.limits / spec.member_counts)[None]
    size = spec.agent_scale[:, None] * spec.members
    return spec.limits * size / size.sum(0)
