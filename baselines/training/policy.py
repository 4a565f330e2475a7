"""Policies of learners that train on the whole task, and the controller that executes them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from accord.baselines.base import Controller, Ledger, ModelView, RolloutStart
from accord.baselines.multipliers.augmentation import augment, effective_prices
from accord.baselines.multipliers.held import HeldMultipliers
from accord.baselines.multipliers.moving import DualConfig, Multipliers, Rule, rounds_of
from accord.baselines.training.actors import Actor, Choice, best
from accord.baselines.training.environment import numbered
from accord.baselines.training.joint import Iterate, JointConfig
from accord.envs.districts.district import HOURS
from accord.envs.errors import UsageError
from accord.envs.task import Step, TaskSpec

MIXTURE = 8  # coprime to 7, so that every policy meets every day of the week


class Policy(nn.Module):
    """An actor and, where training learned or fixed them, its multipliers."""

    def __init__(self, actor: Actor, held: HeldMultipliers | None) -> None:
        """Set up.

        Args:
            actor: What acts.
            held: Multipliers that training leaves; None where it draws them, or where there are none.
        """
        super().__init__()
        self.actor, self.held = actor, held


class PolicyController(Controller):
    """Acts on observations, with multipliers that are held, or moved by what is used, or without any.

    Attributes:
        last: The policy that training left.
        mixture: Late policies of a training whose multipliers never settle: the average of what they use meets
            the budget where none of them does. They take turns, a day each.
    """

    def __init__(
        self,
        policy: Policy,
        decode: Callable[[Tensor], Tensor],
        *,
        sees_multipliers: bool,
        agent_id: bool = False,
        rule: Rule | None = None,
        dual: DualConfig | None = None,
        iterate: Iterate = "last",
        choice: Choice = best,
    ) -> None:
        """Set up.

        Args:
            policy: What acts.
            decode: From what the actor returns to the task's actions.
            sees_multipliers: The policy sees multipliers.
            agent_id: Otherwise, the policy sees its agent's number.
            rule: How they move in execution, from the policy's own where it has some; None for held ones.
            dual: Settings of that.
            iterate: The last policy, or the mixture where there is one.
            choice: Which of the actor's actions is taken.
        """
        self.last, self.mixture = policy, list[Policy]()
        self.sees_multipliers, self._agent_id = sees_multipliers, agent_id
        self._decode, self._rule, self._dual = decode, rule, dual or DualConfig()
        self._iterate, self._choice = iterate, choice
        self.decentralised = rule not in ("central", "broadcast")
        self.rounds = 0 if rule is None else rounds_of(rule, self._dual)

    def reset(self, start: RolloutStart) -> None:
        """Start memory and multipliers anew."""
        super().reset(start)
        self._multipliers = (
            None if self._rule is None else Multipliers(self._rule, self._dual, start, self._first(start))
        )
        for policy in (self.last, *self.mixture):
            policy.actor.listen(start.network)
        self._memory = self.last.actor.start(start.batch, start.spec.n_agents)
        self._steps = 0

    def change(self, spec: TaskSpec, model: ModelView | None = None) -> None:
        """Aim at the new budgets, where multipliers move."""
        super().change(spec, model)
        if self._multipliers is not None:
            self._multipliers.aim(spec)

    def act(self, step: Step) -> Tensor:
        """Actions [B, N, A]."""
        turns = self._turns()
        policy = turns[self._steps // HOURS % len(turns)]
        if len(turns) > 1 and self._steps % HOURS == 0:
            self._memory = policy.actor.start(*step.obs.shape[:2])  # one policy's memory means nothing to another
        obs = self._see(step, policy)
        action, self._memory = self._choice(policy.actor, obs, self._memory, step.action_mask, self.generator)
        self._steps += 1
        return self._decode(action)

    def feedback(self, step: Step) -> None:
        """One dual step, where multipliers move."""
        if self._multipliers is not None:
            self._multipliers.update(step)

    def settle(self) -> None:
        """See `Controller.settle`."""
        if self._multipliers is not None:
            self._multipliers.settle()

    def diagnostics(self) -> dict[str, Tensor]:
        """λ [B, N, m] and ν [B, N] where they move."""
        moved = self._multipliers
        return {} if moved is None else {"multipliers": moved.lam, "local_multipliers": moved.nu}

    def multiplier_limit(self) -> float | None:
        """λ_max of multipliers that move."""
        return None if self._rule is None else self._dual.lambda_max

    def ledger(self) -> Ledger | None:
        """See `Controller.ledger`."""
        return None if self._multipliers is None else self._multipliers.ledger()

    def disagreement_bound(self) -> Tensor | None:
        """See `Controller.disagreement_bound`."""
        return None if self._multipliers is None else self._multipliers.disagreement_bound()

    def modules(self) -> dict[str, nn.Module]:
        """What is trained; the mixture holds copies of it."""
        return {"policy": self.last}

    def state_dict(self) -> dict[str, Any]:
        """Both the last policy and the mixture, whichever acts."""
        return {"last": self.last.state_dict(), "mixture": [policy.state_dict() for policy in self.mixture]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what was learned elsewhere.

        Raises:
            UsageError: held multipliers of other budgets, or of other agents where each has its own.
        """
        if self.last.held is not None:
            held, given = tuple(self.last.held.lam.shape), tuple(state["last"]["held.lam"].shape)
            if held != given:
                raise UsageError(
                    f"multipliers of {given[1]} budgets ({given[0]} each) do not fit {held[1]} ({held[0]})"
                )
        self.last.load_state_dict(state["last"])
        self.mixture = []
        for kept in state["mixture"]:
            self.mixture.append(copy.deepcopy(self.last))
            self.mixture[-1].load_state_dict(kept)

    def greedy(self) -> PolicyController:
        """A second controller of the last policy's best actions at its own multipliers, for measuring what it uses."""
        second = copy.copy(self)
        second._iterate, second._choice = "last", best
        if self.last.held is not None:
            second._rule = None
        return second

    def keep(self, fraction: float) -> None:
        """Late in training: copy the policy into the mixture at even shares of the second half of the effort."""
        while len(self.mixture) < MIXTURE and fraction >= 0.5 + 0.5 * (len(self.mixture) + 1) / MIXTURE - 1e-9:
            self.mixture.append(copy.deepcopy(self.last))

    def _first(self, start: RolloutStart) -> tuple[Tensor, Tensor] | None:
        """Multipliers to move from: those that training left, of a mixture their mean."""
        turns = self._turns()
        if any(policy.held is None for policy in turns):
            return None
        given = [policy.held.expand(start.batch, start.spec.n_agents) for policy in turns if policy.held is not None]
        lam, nu = (torch.stack(values).mean(0) for values in zip(*given, strict=True))
        return lam, nu

    def _turns(self) -> list[Policy]:
        return self.mixture if self._iterate == "mixture" and self.mixture else [self.last]

    def _see(self, step: Step, policy: Policy) -> Tensor:
        if not self.sees_multipliers:
            return numbered(step.obs) if self._agent_id else step.obs
        if self._multipliers is not None:
            lam, nu = self._multipliers.lam, self._multipliers.nu
        else:
            assert policy.held is not None
            lam, nu = policy.held.expand(*step.obs.shape[:2])
        return augment(self.spec, step, effective_prices(self.spec, step, lam), nu)


def make_controller(
    actor: Actor, spec: TaskSpec, config: JointConfig, sees_multipliers: bool, decode: Any, choice: Choice = best
) -> PolicyController:
    """The controller of a learner on the whole task."""
    held = None
    if sees_multipliers and config.handling != "augmented":
        held = HeldMultipliers(spec, config.handling, config.constraints, config.multipliers == "own")
    rule: Rule | None = None
    if sees_multipliers:
        rule = config.moving
    if sees_multipliers and held is None:
        rule = "central" if config.multipliers == "global" else "independent"
    return PolicyController(
        Policy(actor, held),
        decode,
        sees_multipliers=sees_multipliers,
        agent_id=config.agent_id,
        rule=rule,
        dual=config.constraints.dual,
        iterate=config.iterate,
        choice=choice,
    )
