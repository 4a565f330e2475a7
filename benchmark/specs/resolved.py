"""A run with all that its spec names looked up: built once, and handed on to whoever needs a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from accord.baselines.base import Method, identity_of
from accord.baselines.registry import METHODS, REFERENCES, explain, unknown_name
from accord.benchmark.specs.run import CPU, RunSpec, digest_of
from accord.envs.catalogue import VERSION, resolve
from accord.envs.checks import device_of
from accord.envs.errors import UsageError
from accord.envs.scenario import Scenario
from accord.envs.task import Budget, Task


class Identity(BaseModel):
    """Digests of what a run's numbers depend on and its spec does not hold; hex.

    Attributes:
        data: Of the data that the run is measured and trained on.
        network: Of the networks that it is measured and trained over.
        code: Of the method, the task and the evaluation, comments and docstrings left out, and of the versions of the
            packages that they import.
        training: Of the code, the limits and the network that its policy is trained with; empty where nothing is
            learned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    network: str
    code: str
    training: str = ""


@dataclass(frozen=True)
class ResolvedRun:
    """One run.

    Attributes:
        spec: What was asked for.
        scenario: What it is measured on.
        trained_on: What its policy is trained on: another scenario where the spec says so, what held before a change,
            or the same.
        method: With its settings; None for a reference.
        policy: Digest of what its policy is trained on, see `training_digest`; empty where nothing is learned.
        identity: What else it depends on, as found here; None until somebody looks, see `records.identity`.
    """

    spec: RunSpec
    scenario: Scenario
    trained_on: Scenario
    method: Method | None
    policy: str
    identity: Identity | None = None

    @property
    def device(self) -> torch.device:
        """Where it is computed: of several GPUs the current one.

        Raises:
            UsageError: it is not on this machine.
        """
        return device_of(self.spec.device)

    def task(self, scenario: Scenario) -> Task:
        """A fresh task of a scenario on the run's device."""
        return scenario.task(str(self.device))

    @property
    def has_curve(self) -> bool:
        """A learning curve is drawn where a policy was trained, not of what becomes of it elsewhere."""
        trained_here = self.trained_on.address == self.scenario.address
        return self.spec.effort is not None and self.spec.effort.snapshots > 0 and trained_here


def resolve_run(spec: RunSpec, scenario: Scenario | None = None) -> ResolvedRun:
    """Look up what a spec names.

    Args:
        spec: What was asked for.
        scenario: What its address means, where that is known already.

    Raises:
        UsageError: an address, a method or a setting has no meaning here.
    """
    scenario = scenario or resolve(spec.scenario)
    trained_on = (resolve(spec.trained_on) if spec.trained_on else scenario).trained_on
    method = _method_of(spec)
    return ResolvedRun(spec, scenario, trained_on, method, training_digest(spec, method, trained_on))


def _method_of(spec: RunSpec) -> Method | None:
    if spec.method in REFERENCES:
        return None
    if spec.method not in METHODS:
        raise UsageError(f"{spec.label}: {unknown_name(spec.method)}")
    kind = METHODS[spec.method].method
    try:
        return kind(kind.config_type(**spec.config))
    except ValidationError as error:
        raise UsageError(f"{spec.label}: settings of another version: {explain(error)}") from None


def training_digest(spec: RunSpec, method: Method | None, trained_on: Scenario) -> str:
    """What a policy was trained on; runs with the same digest share one training. Empty where nothing is learned."""
    if spec.effort is None or method is None:
        return ""
    world: dict[str, Any] = {"district": trained_on.digest, "catalogue": VERSION}
    if method.training_scope == "population":
        world["budget_hours"] = [_population_of(budget) for budget in trained_on.budgets()]
    else:
        world["scenario"] = trained_on.address
    config = method.config
    return digest_of(
        {
            "method": identity_of(type(method)),
            "config": _as_written(config.training_key(), config.model_dump(), spec.config),
            "effort": spec.identity()["effort"],
            "seed": spec.seed,
            **({} if spec.device == CPU else {"device": spec.device}),
            **world,
        }
    )


def _as_written(key: dict[str, Any], fields: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """A training key without settings that a spec does not name, since they came after it was written."""
    kept = {}
    for name, value in key.items():
        if name in fields and name not in written:
            continue
        nested = isinstance(value, dict) and isinstance(written.get(name), dict)
        kept[name] = _as_written(value, fields[name], written[name]) if nested and name in fields else value
    return kept


def _population_of(budget: Budget) -> list[Any]:
    """What of a budget training depends on: which hours and agents it counts, not its level."""
    agents = [] if budget.agents is None else [budget.agents.int().tolist()]
    return [budget.resource, budget.hours.int().tolist(), *agents]
