"""Execution of state augmentation with consensus: act on own multipliers, then move and exchange them.

Amaya-Corredor, Jonsson and Calvo-Fullana, Algorithm 1, eqs. 10, 11 and 15; the steps are those of
`baselines.multipliers.moving`. How the policy was trained does not matter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from accord.baselines.base import Controller, Ledger, MethodConfig, ModelView, Rollout, RolloutStart
from accord.baselines.consensus.chunked_rollout import FusedConsensus, NotFusedError
from accord.baselines.multipliers.augmentation import augment, effective_prices
from accord.baselines.multipliers.found import AscentConfig, FoundPrices
from accord.baselines.multipliers.moving import SEES, DualConfig, Multipliers, Rule, rounds_of
from accord.baselines.training.actors import StochasticActor
from accord.baselines.training.environment import to_box
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.multipliers import MultiplierDraw
from accord.envs.task import Step, Task, TaskSpec

# How the agents of each name agree on multipliers, and what that lets them see; with a central price nobody agrees.
RULES: dict[Rule, str] = {rule: sees for rule, sees in SEES.items() if rule != "central"}


class ExecutionConfig(MethodConfig):
    """How multipliers move in execution."""

    rule: Rule = Field("gossip", description="How multipliers are agreed on.")
    dual: DualConfig = DualConfig()


class PricedConfig(ExecutionConfig):
    """What methods share that train single agents at multipliers. `rule` and `dual` concern execution alone."""

    prices: Literal["drawn", "found"] = Field(
        "drawn", description="Training draws λ anywhere, for every budget at once, or around what it finds for these."
    )
    draw: MultiplierDraw = MultiplierDraw()
    ascent: AscentConfig = AscentConfig()

    def training_key(self) -> dict[str, Any]:
        """Without what concerns execution alone, and what does not apply."""
        found = set() if self.prices == "found" else {"prices", "ascent"}
        return self.model_dump(mode="json", exclude=set(ExecutionConfig.model_fields) | found)

    def found_prices(self, spec: TaskSpec) -> FoundPrices | None:
        """Prices that a training begins with; None where it draws them."""
        return FoundPrices(spec, self.ascent, self.draw) if self.prices == "found" else None


class MultiplierController(Controller):
    """Moves and exchanges its agents' multipliers after every step; what it does at them is a subclass's."""

    def __init__(self, config: ExecutionConfig) -> None:
        """Set up.

        Args:
            config: How multipliers move.
        """
        self.config = config
        self.decentralised = config.rule != "broadcast"
        self.rounds = rounds_of(config.rule, config.dual)

    def reset(self, start: RolloutStart) -> None:
        """Start every multiplier where the settings say, or training left it."""
        super().reset(start)
        self.multipliers = Multipliers(self.config.rule, self.config.dual, start, self.first(start))

    def first(self, start: RolloutStart) -> tuple[Tensor, Tensor] | None:
        """First λ [B, N, m] and ν [B, N]; None for those of the settings."""
        return None

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """Aim at the new budgets."""
        super().change(spec, model)
        self.multipliers.aim(spec)

    def feedback(self, step: Step) -> None:
        """One dual step."""
        self.multipliers.update(step)

    def settle(self) -> None:
        """See `Controller.settle`."""
        self.multipliers.settle()

    def diagnostics(self) -> dict[str, Tensor]:
        """λ [B, N, m] and ν [B, N]."""
        return {"multipliers": self.multipliers.lam, "local_multipliers": self.multipliers.nu}

    def multiplier_limit(self) -> float:
        """λ_max."""
        return self.config.dual.lambda_max

    def ledger(self) -> Ledger | None:
        """See `Controller.ledger`."""
        return self.multipliers.ledger()

    def disagreement_bound(self) -> Tensor | None:
        """See `Controller.disagreement_bound`."""
        return self.multipliers.disagreement_bound()


class ConsensusController(MultiplierController):
    """Acts on its own observation and multipliers."""

    def __init__(
        self,
        config: ExecutionConfig,
        actors: Sequence[StochasticActor],
        actions: Literal["mean", "sampled"] = "mean",
        found: FoundPrices | None = None,
    ) -> None:
        """Set up.

        Args:
            config: How multipliers move.
            actors: One actor, or one per agent type in the order of the types.
            actions: What of an actor's distribution is done.
            found: Prices that training finds, from which multipliers start in place of the settings' first λ.
        """
        super().__init__(config)
        self.actors, self.actions, self.found = list(actors), actions, found

    def reset(self, start: RolloutStart) -> None:
        """See `MultiplierController.reset`."""
        super().reset(start)
        kinds = start.spec.agent_types.unique().tolist() if len(self.actors) > 1 else []
        self._rows = [agents_of(start.spec, kind).to(start.spec.device) for kind in kinds]

    def first(self, start: RolloutStart) -> tuple[Tensor, Tensor] | None:
        """See `MultiplierController.first`."""
        if self.found is None:
            return None
        nu = torch.full((start.batch, start.spec.n_agents), self.config.dual.nu_start, device=start.spec.device)
        return self.found.lam.expand(*nu.shape, -1), nu

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A]."""
        prices = effective_prices(self.spec, step, self.multipliers.lam)
        seen = augment(self.spec, step, prices, self.multipliers.nu)
        if len(self.actors) == 1:
            return to_box(self._draw(self.actors[0], seen))
        actions = seen.new_empty(*seen.shape[:2], self.spec.action.size)
        for actor, rows in zip(self.actors, self._rows, strict=True):
            actions[:, rows] = to_box(self._draw(actor, seen[:, rows]))
        return actions

    def in_chunks(self, task: Task) -> Rollout | None:
        """One shared policy's mean actions, with multipliers where they stand now; see `chunked_rollout`."""
        if len(self.actors) > 1 or self.actions != "mean" or not isinstance(task, DemandResponse):
            return None
        try:
            rollout = FusedConsensus(task, self.network, self.actors[0], self.config.dual, self.config.rule)
        except NotFusedError:
            return None
        rollout.state.lam.copy_(self.multipliers.lam[0])
        rollout.state.nu.copy_(self.multipliers.nu[0])
        return rollout

    def modules(self) -> dict[str, nn.Module]:
        """The actors, and prices where training finds them; critics are not needed to act."""
        actors: dict[str, nn.Module] = {f"actor_{i}": actor for i, actor in enumerate(self.actors)}
        return actors if self.found is None else actors | {"prices": self.found}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what was learned elsewhere.

        Raises:
            UsageError: prices of other budgets.
        """
        if self.found is not None and (given := len(state["prices"]["lam"])) != (own := len(self.found.lam)):
            raise UsageError(f"prices of {given} budgets do not fit a task with {own}")
        super().load_state_dict(state)

    def _draw(self, actor: StochasticActor, seen: Tensor) -> Tensor:
        if self.actions == "mean":
            return actor.mode(seen, None)[0]
        return actor.sample(seen, None, self.generator)[0]


def agents_of(spec: TaskSpec, kind: int) -> Tensor:
    """Indices of the agents of a type."""
    return (spec.agent_types == kind).nonzero().flatten()
