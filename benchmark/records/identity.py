"""What a run's numbers depend on beside what its spec says: the data, the network, and the code that it goes through.

A spec names a folder, a file of edges and classes; what is in them can change while the names stay. A record keeps the
digests of what was there, and is carried out again where they are no longer the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from typing import Any

from accord.baselines.registry import METHODS, REFERENCES, NamesCode, make_method
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.code import UNREADABLE, digest_of_code
from accord.benchmark.specs.resolved import Identity, ResolvedRun
from accord.benchmark.specs.run import digest_of
from accord.envs.catalogue import VERSION, family_of
from accord.envs.scenario import Scenario

EVALUATION = "accord.benchmark.evaluation.evaluate"
SEEDING = "accord.benchmark.seeding"
RUNNER = ("accord.benchmark.launch.runner", "accord.benchmark.launch.contexts")
# Of a linear programme nobody learns anything but the limits of budgets that are multiples of the least level.
OPTIMUM = "accord.envs.optimum"
TRAINER = "accord.benchmark.launch.training"


def identify(run: ResolvedRun) -> ResolvedRun:
    """The run with its identity; looked up once, before anything is trained or rolled out."""
    return run if run.identity is not None else replace(run, identity=identity_here(run))


def identity_here(run: ResolvedRun) -> Identity:
    """What a run's numbers depend on, here and now."""
    measured, trained = run.scenario, run.trained_on
    method = _method_modules(run)
    code = digest_of_code(
        [*method, *_scenario_modules(measured), *_scenario_modules(trained), *_evaluation_modules()],
        [*RUNNER, TRAINER, SEEDING],
    )
    files = run.method.files() if isinstance(run.method, NamesCode) else ()
    if files and not code.startswith(UNREADABLE):
        code = digest_of([code, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)])
    data, network = _both(measured.digest, trained.digest), _both(measured.network_digest, trained.network_digest)
    if not run.policy or run.method is None:
        return Identity(data=data, network=network, code=code)
    population = run.method.training_scope == "population"
    made_with = [
        digest_of_code(method, [TRAINER, SEEDING]),
        digest_of_code(_scenario_modules(trained), without=[OPTIMUM]),
        [] if population else [budget.limit for budget in trained.budgets()],
        "" if population and not run.method.talks_in_training else trained.network_digest,
    ]
    return Identity(data=data, network=network, code=code, training=digest_of(made_with))


def is_readable(identity: Identity) -> bool:
    """The code could be read; where not, no other look at it gives the same."""
    return not identity.code.startswith(UNREADABLE)


def policy_name(policy: str, identity: Identity) -> str:
    """Names the folder of a policy.

    Args:
        policy: Digest of the settings, the data and the seed, by which published rows name a policy.
        identity: The code, the limits and the network that it is trained with.
    """
    return f"{policy}-{identity.training}"


def policy_here(run: ResolvedRun) -> str:
    """Names the folder of a run's policy, trained with what is here now."""
    return policy_name(run.policy, run.identity or identity_here(run))


def context_key(scenario: Scenario) -> str:
    """Names the file of what a scenario's runs are compared with: the optimum and the figures without control."""
    plain = scenario.uncontrolled
    roots = [*_scenario_modules(scenario), *_evaluation_modules()]
    if plain:
        roots += [kind.__module__ for kind in _bases(make_method(plain))]
    code = digest_of_code(roots, [RUNNER[1], SEEDING])
    return digest_of(scenario.comparison_key | {"catalogue": VERSION, "code": code})


def _method_modules(run: ResolvedRun) -> list[str]:
    if run.method is None:
        return [REFERENCES[run.spec.method].__module__]
    registered_in = METHODS[run.spec.method].registered_in
    named = run.method.modules() if isinstance(run.method, NamesCode) else []
    return [*(kind.__module__ for kind in _bases(run.method)), *([registered_in] if registered_in else []), *named]


def _bases(made: object) -> list[type]:
    """An object's class and what it inherits from, but for what comes with Python."""
    return [kind for kind in type(made).__mro__ if kind.__module__ not in ("builtins", "abc", "typing")]


def _scenario_modules(scenario: Scenario) -> list[str]:
    """Modules of its class, of the functions that it holds, and of what resolves its address."""
    held = [getattr(scenario, part.name) for part in fields(scenario)]
    functions = [family_of(scenario.address).resolve, *(value for value in held if callable(value))]
    return [*(kind.__module__ for kind in _bases(scenario)), *(m for f in functions for m in _modules_of(f))]


def _modules_of(function: Any) -> Iterator[str]:
    """The module of a function, and of the functions that a partial one holds."""
    if isinstance(function, partial):
        parts = [function.func, *function.args, *function.keywords.values()]
        for part in parts:
            if callable(part):
                yield from _modules_of(part)
    elif getattr(function, "__module__", None):
        yield function.__module__


def _evaluation_modules() -> list[str]:
    return [EVALUATION, *(metric.compute.__module__ for metric in METRICS.values() if metric.compute is not None)]


def _both(measured: str, trained: str) -> str:
    """One digest, or that of two where a run is measured on one thing and trained on another."""
    return measured if measured == trained else digest_of([measured, trained])
