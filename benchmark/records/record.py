"""What one run leaves: its spec, its metrics, where it came from. One folder per run, complete or absent."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accord.baselines.registry import explain
from accord.benchmark.evaluation.context import Value
from accord.benchmark.places import Place
from accord.benchmark.records.identity import policy_name
from accord.benchmark.records.provenance import Provenance
from accord.benchmark.records.sealed import DamagedError, open_json
from accord.benchmark.specs.resolved import Identity
from accord.benchmark.specs.run import RunSpec
from accord.envs.errors import UsageError

Status = Literal["done", "failed", "out of time", "out of memory"]


class Record(BaseModel):
    """One run.

    Attributes:
        spec: Resolved spec.
        status: How it ended.
        error: One line, where it did not end well.
        metrics: By name, see `benchmark.evaluation.metrics`.
        provenance: Where it was made.
        policy: Digest of the trained policy, empty without one.
        policy_revision: Git revision that it was trained at: a store may hold one of older code.
        identity: Digests of the data, the network and the code; None of records that were published before there were
            any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: RunSpec
    status: Status
    error: str = ""
    metrics: dict[str, Value] = Field(default_factory=dict)
    provenance: Provenance
    policy: str = ""
    policy_revision: str = ""
    identity: Identity | None = None

    @property
    def summary(self) -> dict[str, Value]:
        """The metrics."""
        return self.metrics

    @property
    def policy_name(self) -> str:
        """Of the folder of its policy in the store that it was made in; empty without one."""
        return policy_name(self.policy, self.identity) if self.policy and self.identity else ""

    def row(self) -> dict[str, Any]:
        """One flat row for tables: what the run is, how it ended, every metric, where it was made."""
        from_where = self.provenance
        return {
            "suite": self.spec.suite,
            "scenario": self.spec.scenario,
            "method": self.spec.method,
            "variant": self.spec.variant,
            "seed": self.spec.seed,
            "status": self.status,
            "error": self.error,
            **self.metrics,
            "run": self.spec.digest,
            "policy": self.policy,
            "policy_revision": self.policy_revision,
            "identity": "" if self.identity is None else self.identity.model_dump_json(),
            "spec": json.dumps(self.spec.identity()),
            "git_revision": from_where.git_revision,
            "data_digest": from_where.data_digest,
            "cpu": from_where.cpu,
            "gpu": from_where.gpu,
            "provenance": from_where.model_dump_json(),
        }


def names_and_seed(record: Record) -> tuple[str, str, str, str, int, str]:
    """What records are ordered by; two of the same names and seed by the digests of their specs."""
    spec = record.spec
    return spec.suite, spec.scenario, spec.method, spec.variant, spec.seed, spec.digest


def load_record(path: Place) -> Record:
    """Read a record's JSON file, in the folder of its run.

    Raises:
        UsageError: it is not a record of this version.
        DamagedError: it is not what was written there.
        FileNotFoundError: there is none.
    """
    record = read_record(path)
    if record.spec.digest != path.parent.name:
        raise DamagedError(f"is the record of another run, {record.spec.label}")
    return record


def read_record(path: Place) -> Record:
    """Read a record's JSON file, wherever it lies; raises what `load_record` does."""
    fields = open_json(path.read_bytes())
    try:
        return Record.model_validate(fields)
    except ValidationError as error:
        wrong = f"not a record of this version ({explain(error)})"
        raise UsageError(f"{path}: {wrong}; remove its folder or name another --root") from None
