"""Multipliers in execution: how each agent moves its own, and how neighbours agree on them.

Equations are those of Amaya-Corredor, Jonsson and Calvo-Fullana, Algorithm 1, with usage in base loads
and multipliers in mean prices. λ, μ [B, N, m] belong to the shared budgets, ν [B, N] to the local equality.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from accord.baselines.base import Ledger, RolloutStart
from accord.baselines.multipliers.account import Account, Move
from accord.baselines.multipliers.theory import disagreement
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Step, TaskSpec

Rule = Literal["gossip", "primal_dual", "primal_dual_symmetric", "independent", "broadcast", "central"]
Mixing = Literal["plain", "chebyshev", "balanced", "clipped", "trimmed", "event", "tracking"]
EVERY = torch.tensor(True)  # budget is talked of
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

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
    mixing: Mixing = Field(
        "plain",
        description=(
            "How neighbours agree. chebyshev: K rounds reach further; not where messages are lost one way. "
            "balanced: for messages that are late or rounded. clipped: a neighbour is believed to differ by `flow` at "
            "most, which bounds a liar. trimmed: the `trim` largest and smallest of what is heard are left out; not "
            "where agents differ, since it moves the mean. event: only what changed by more than `threshold` is told. "
            "tracking: steps are averaged beside λ, which brings agents closer; not where messages are lost one way."
        ),
    )
    flow: float = Field(0.05, gt=0, description="clipped: largest difference that is believed.")
    """Unit: mean prices."""
    trim: int = Field(1, ge=0, description="trimmed: numbers that are left out at either end.")
    """Unit: neighbours."""
    threshold: float = Field(0.05, ge=0, description="event: change of λ that is told.")
    """Unit: mean prices."""
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
        if rule == "gossip":
            _check_mixing(config, start.network)
        apart = disagreement(start.network, config.rounds, config.mixing, self.lam) if rule == "gossip" else None
        self._account = Account(self.lam, apart)
        self._mu = torch.zeros(shape, device=device)
        self._last_excess = torch.zeros(shape, device=device)
        # What each agent takes the mean step for, its own last one, and what neighbours know of its λ.
        self._tracked, self._last_step = torch.zeros(2, *shape, device=device)
        self._told = self.lam
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
        self._use = use_per_price(spec, config)

    def update(self, step: Step) -> None:
        """Take the outcome of one step: move λ by its gradient, talk, move ν."""
        config, spec = self._config, self._spec
        usage = step.usage[..., spec.resource_of] if len(spec.resources) > 1 else step.usage
        counted = step.counted[:, None]
        excess = counted * self._members * (usage / spec.usage_scale - self._share) / self._unit  # [B, N, m]
        before, asked, turn = self.lam, self._ascent(excess, counted), self._network.turn
        moved = before + asked
        if self._rule in ("primal_dual", "primal_dual_symmetric"):
            moved = moved - config.alpha * self._mu
            self.lam = clipped = moved.clamp(0.0, config.lambda_max)
            self._mu = self._mu + config.beta * self._apart(before)
        elif self._rule == "central":
            # One multiplier per budget, moved by what the whole district uses: projected after the average.
            moved = self._network.mean(moved).expand_as(moved)
            self.lam = clipped = moved.clamp(0.0, config.lambda_max)
        else:
            if config.mixing == "tracking" and self._rule == "gossip":
                moved = before + self._track(asked, counted)
            clipped = moved.clamp(0.0, config.lambda_max)
            self.lam = self._talk(clipped, counted)
        mixed = counted[:, 0] > 0 if config.mix_active_only else EVERY.to(counted.device)
        self._account.note(Move(before, asked, moved, clipped, self.lam, mixed, turn))
        if step.shortfall is not None:
            scaled = step.shortfall / spec.usage_scale
            self.nu = (self.nu - config.eta * scaled).clamp(-config.nu_max, config.nu_max)
        self._steps += 1

    def settle(self) -> None:
        """See `Controller.settle`."""
        self._account.settle()

    def ledger(self) -> Ledger | None:
        """See `Controller.ledger`."""
        config = self._config
        if config.step_rule != "constant" or config.alpha == 0:
            return None
        return self._account.ledger(self.lam, self._use, config.tighten)

    def disagreement_bound(self) -> Tensor | None:
        """See `Controller.disagreement_bound`; None but for gossip, and where `theory.bounds` says so."""
        bound = self._account.apart()
        return None if bound is None else bound / self.lam.shape[1] ** 0.5

    def _ascent(self, excess: Tensor, counted: Tensor) -> Tensor:
        config = self._config
        if config.step_rule == "diminishing":
            return config.alpha / (1 + self._steps / config.half_life) ** 0.5 * excess
        if config.step_rule == "pi":
            change = counted * (excess - self._last_excess)
            self._last_excess = torch.where(counted > 0, excess, self._last_excess)
            return config.alpha * excess + config.proportional * change
        return config.alpha * excess

    def _track(self, ascent: Tensor, counted: Tensor) -> Tensor:
        """Dual steps by the mean that agents track, in place of their own (dynamic average consensus).

        What each adds to its estimate is the change of its own step since the budget last counted, so the mean of the
        estimates is the mean step as long as messages move no mean (Zhu and Martínez, 2010).
        """
        change = torch.where(counted > 0, ascent - self._last_step, 0.0)
        self._last_step, self._tracked = self._last_step + change, self._tracked + change
        return counted * self._tracked

    def _tell(self, lam: Tensor) -> Tensor:
        """Gossip of what changed: λ + (W − I)·told, with what was told last in place of what is the case."""
        changed = (lam - self._told).abs() > self._config.threshold
        self._told = torch.where(changed, lam, self._told)
        return lam + self._network.mix_told(self._told, changed) - self._told

    def _talk(self, lam: Tensor, counted: Tensor) -> Tensor:
        config, network = self._config, self._network
        if self._rule == "independent":
            return lam
        if self._rule == "broadcast":
            return network.mean(lam).expand_as(lam).contiguous()
        if config.mixing == "event":
            return self._tell(lam)
        if config.mixing == "tracking":
            lam, self._tracked = network.mix(torch.cat([lam, self._tracked], -1), config.rounds).chunk(2, -1)
            return lam
        limit = {"clipped": config.flow, "trimmed": float(config.trim)}.get(config.mixing, 0.0)
        if not config.mix_active_only:
            return network.mix(lam, config.rounds, config.mixing, limit)
        # All copies share one clock only in execution; the active budgets are those of the first copy.
        active = counted[0, 0].nonzero().flatten()
        lam = lam.clone()
        lam[..., active] = network.mix(lam[..., active], config.rounds, config.mixing, limit)
        return lam

    def _apart(self, before: Tensor) -> Tensor:
        """What moves μ: eq. (11) as printed, with the old λ, or its symmetric form with the new one."""
        if self._rule == "primal_dual":
            return before - self._network.neighbour_mean(before)
        return self.lam - self._network.mix(self.lam)


def _check_mixing(config: DualConfig, network: Network) -> None:
    """Refuse what has no meaning together.

    Raises:
        UsageError: what is told cannot be known to be heard, or only a part of λ is exchanged.
    """
    if config.mixing == "event" and not (network.exact and config.rounds == 1):
        raise UsageError("dual.mixing: 'event' needs rounds 1 and a network without faults: what is told is heard")
    if config.mix_active_only and config.mixing in ("event", "tracking"):
        raise UsageError(f"dual.mixing: '{config.mixing}' exchanges every budget; mix_active_only must be false")
    if config.mix_active_only and network.faults.delay:
        raise UsageError("dual.mix_active_only: messages are late, and of other budgets; it must be false")


def rounds_of(rule: Rule, config: DualConfig) -> int:
    """Hops that a multiplier travels in one step; see `Controller.rounds`."""
    return {"gossip": config.rounds, "independent": 0}.get(rule, 1)


def use_per_price(spec: TaskSpec, config: DualConfig) -> Tensor:
    """What use of a budget, as a share of its limit, moves the mean λ of all agents by one mean price, [m]."""
    mean_share = (spec.limits.double() / spec.member_counts / spec.usage_scale).clamp_min(1e-6)
    unit = mean_share if config.unit == "share" else torch.ones_like(mean_share)
    return spec.n_agents / spec.member_counts * unit / mean_share / max(config.alpha, 1e-12)


def shares(spec: TaskSpec, share: str) -> Tensor:
    """Each member's part of each budget in units of the resource, [1 or N, m]."""
    if share == "equal":
        return (spec.limits / spec.member_counts)[None]
    size = spec.agent_scale[:, None] * spec.members
    return spec.limits * size / size.sum(0)
