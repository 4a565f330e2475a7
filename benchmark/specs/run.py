"""One run as a typed spec: what it is called, and everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from accord.baselines.base import Method
from accord.baselines.registry import REFERENCES, learns, make_method
from accord.benchmark.specs.checked import Checked
from accord.benchmark.specs.limits import MOST
from accord.benchmark.specs.resources import Resources
from accord.envs.catalogue import VERSION, resolve
from accord.envs.errors import UsageError, quoted
from accord.envs.scenario import Scenario

SCHEMA = 2  # of the specs that are made now
Device = Literal["cpu", "cuda"]
CPU: Device = "cpu"
USUAL = Resources()


class EffortSpec(Checked):
    """Training budget of one policy."""

    steps: int = Field(gt=0, le=MOST, description="Agent-steps.")
    seconds: float = Field(180.0, gt=0, description="Wall-clock limit; reaching it first is `out of time`.")
    snapshots: int = Field(0, ge=0, description="Points of the learning curve; 0 keeps none.")


class RunSpec(Checked):
    """One run, resolved: what it is called, and everything that its result depends on."""

    suite: str = ""
    scenario: str
    method: str
    variant: str = ""
    seed: int = Field(ge=0, le=MOST)
    config: dict[str, Any] = Field(default_factory=dict, description="Every setting of the method, defaults included.")
    effort: EffortSpec | None = Field(None, description="None for a method that does not learn.")
    trained_on: str = Field("", description="Address of another scenario whose policy is used; empty for its own.")
    device: Device = Field(CPU, description="Where it is trained and rolled out; numbers differ by rounding.")
    catalogue: int = Field(VERSION, description="Version of the catalogue that gave the address its meaning.")

    resources: Resources = Field(
        USUAL, exclude=True, description="What launchers ask for; nothing depends on it, and it is not kept."
    )
    schema_version: int = Field(1, ge=1, le=SCHEMA, description="Which fields the digest is made of; see `identity`.")

    def identity(self) -> dict[str, Any]:
        """What the digest is made of, and how a spec is written down: every field.

        Specs of schema 1 were written before there were transfers and learning curves. What they do not use of these
        stays out, so that published runs keep their digests; so does the processor, which all of them ran on.
        """
        fields = self.model_dump(mode="json")
        if self.device == CPU:
            del fields["device"]
        if self.schema_version == 1:
            del fields["schema_version"]
            if not self.trained_on:
                del fields["trained_on"]
            if self.effort is not None and not self.effort.snapshots:
                del fields["effort"]["snapshots"]
        return fields

    @cached_property
    def digest(self) -> str:
        """Names the run's folder; hex, 16 characters."""
        return digest_of(self.identity())

    @property
    def label(self) -> str:
        """For people."""
        variant = f" [{self.variant}]" if self.variant else ""
        where = "" if self.device == CPU else f" on {self.device}"
        return f"{self.scenario} {self.method}{variant} seed {self.seed}{where}"


def make_run(
    address: str,
    method: str,
    seed: int,
    *,
    suite: str = "",
    variant: str = "",
    settings: dict[str, Any] | None = None,
    effort: EffortSpec | None = None,
    trained_on: str = "",
    device: Device = CPU,
    resources: Resources = USUAL,
    scenario: Scenario | None = None,
    runs_here: bool = True,
) -> RunSpec:
    """The spec of one run, every setting spelt out.

    Args:
        address: Of the scenario.
        method: Name of a method or reference.
        seed: Seed of training and evaluation.
        suite: Name of the suite that it belongs to.
        variant: A label for the settings; without any, only what learns keeps it.
        settings: Changes to the method's defaults.
        effort: Of the training; left out where nothing is learned.
        trained_on: Address of another scenario whose policy is used.
        device: Of what can be computed there; see `device_for`; a bound needs none.
        resources: What it asks of the machine that carries it out.
        scenario: What the address means, where that is known already.
        runs_here: It is to be carried out, and not only read of.

    Raises:
        UsageError: an unknown scenario, method or setting, a seed out of range, or a scenario whose package is not
            installed, where it is to run here.
    """
    if not isinstance(method, str):
        raise UsageError(f"method {quoted(method)}: allowed: a name, see accord methods")
    if settings is not None and not (isinstance(settings, Mapping) and all(isinstance(name, str) for name in settings)):
        raise UsageError(f"settings {quoted(settings)}: allowed: values by the names of settings")
    found = scenario or resolve(address)
    if runs_here:
        found.check()
    if method in REFERENCES:
        if settings:
            raise UsageError(f"method '{method}': a bound has no settings")
        names = {"suite": suite, "scenario": address, "method": method, "seed": seed}
        return RunSpec.of(**names, resources=resources, schema_version=SCHEMA)
    trained, made = learns(method), make_method(method, settings)
    return RunSpec.of(
        suite=suite,
        scenario=address,
        method=method,
        variant=variant if trained or settings else "",
        seed=seed,
        config=made.config.model_dump(mode="json"),
        **{"effort": effort, "trained_on": trained_on} if trained else {},
        device=device_for(made, found, device),
        resources=resources,
        schema_version=SCHEMA,
    )


def device_for(method: Method, scenario: Scenario, device: Device) -> Device:
    """What of a device is wanted: what a method or a task keeps to the processor runs there whatever is asked for."""
    return CPU if method.on_processor or scenario.on_processor else device


def in_scenario(address: str, parts: Sequence[str]) -> bool:
    """The address contains one of `parts`, whole words between slashes; without parts every address does."""
    return not parts or any(f"/{part.strip('/')}/" in f"/{address}/" for part in parts)


def digest_of(content: Any) -> str:
    """A short digest of anything that JSON can hold."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
