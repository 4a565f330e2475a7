"""What a run's numbers depend on beside what its spec says: the data, the network, and the code that it goes through.

A spec names a folder, a file of edges and classes; what is in them can change while the names stay. A record keeps the
digests of what was there, and is carried out again where they are no longer the same.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict

from accord.baselines.registry import REFERENCES, make_method
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.code import digest_of_code
from accord.benchmark.specs.resolved import ResolvedRun
from accord.benchmark.specs.run import digest_of
from accord.envs.catalogue import VERSION, family_of
from accord.envs.scenario import Scenario

EVALUATION = "accord.benchmark.evaluation.evaluate"
SEEDING = "accord.benchmark.seeding"
RUNNER = ("accord.benchmark.launch.runner", "accord.benchmark.launch.contexts")
# Of a linear programme nobody learns anything but the limits of budgets that are multiples of the least level.
OPTIMUM = "accord.envs.optimum"
TRAINER = "accord.benchmark.launch.training"


class Identity(BaseModel):
    """Digests of what a spec does not hold; hex.

    Attributes:
        data: Of the data that the run is measured and trained on.
        network: Of the networks that it is measured and trained over.
        code: Of the method, the task and the evaluation, comments and docstrings left out.
        training: Of the code, the limits and the network that its policy is trained with; empty where nothing is
            learned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    network: str
    code: str
    training: str = ""


def identity_here(run: ResolvedRun) -> Identity:
    """What a run's numbers depend on, here and now."""
    here, there = run.scenario, run.trained_on
    method = _method_modules(run)
    code = digest_of_code(
        [*method, *_scenario_modules(here), *_scenario_modules(there), *_evaluation_modules()],
        [*RUNNER, TRAINER, SEEDING],
    )
    data, network = _both(here.digest, there.digest), _both(here.network_digest, there.network_digest)
    if not run.policy or run.method is None:
        return Identity(data=data, network=network, code=code)
    blind = run.method.training_scope == "population" and not run.method.talks_in_training
    limits = [] if run.method.training_scope == "population" else [budget.limit for budget in there.budgets()]
    scenario = digest_of_code(_scenario_modules(there), without=[OPTIMUM])
    made_with = [digest_of_code(method, [TRAINER, SEEDING]), scenario, limits, "" if blind else there.network_digest]
    return Identity(data=data, network=network, code=code, training=digest_of(made_with))


def policy_name(policy: str, identity: Identity) -> str:
    """Names the folder of a policy.

    Args:
        policy: Digest of the settings, the data and the seed, by which published rows name a policy.
        identity: The network and the code that it is trained with.
    """
    return f"{policy}-{identity.training}"


def policy_here(run: ResolvedRun) -> str:
    """Names the folder of a run's policy, trained with what is here now."""
    return policy_name(run.policy, identity_here(run))


def context_key(scenario: Scenario) -> str:
    """Names the file of what a scenario's runs are compared with: the optimum and the figures without control."""
    plain = scenario.uncontrolled
    roots = [*_scenario_modules(scenario), *_evaluation_modules()]
    roots += [kind.__module__ for kind in REFERENCES.values()]
    if plain:
        roots += [kind.__module__ for kind in _bases(make_method(plain))]
    return digest_of(
        scenario.comparison_key | {"catalogue": VERSION, "code": digest_of_code(roots, [RUNNER[1], SEEDING])}
    )


def _method_modules(run: ResolvedRun) -> list[str]:
    if run.method is not None:
        return [kind.__module__ for kind in _bases(run.method)]
    return [REFERENCES[run.spec.method].__module__]


def _bases(made: object) -> list[type]:
    """An object's class and what it inherits from, builtins left out."""
    return [kind for kind in type(made).__mro__ if kind.__module__ not in ("builtins", "abc")]


def _scenario_modules(scenario: Scenario) -> list[str]:
    resolver: Any = family_of(scenario.address).resolve
    while isinstance(resolver, partial):
        resolver = resolver.func
    return [*(kind.__module__ for kind in _bases(scenario)), resolver.__module__]


def _evaluation_modules() -> list[str]:
    return [EVALUATION, *(metric.compute.__module__ for metric in METRICS.values() if metric.compute is not None)]


def _both(here: str, there: str) -> str:
    """One digest, or that of two where a run is measured on one thing and trained on another."""
    return here if here == there else digest_of([here, there])
