"""What one run leaves: its spec, its metrics, where it came from. One folder per run, complete or absent."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accord.baselines.registry import explain
from accord.benchmark.evaluation.metrics import Value
from accord.benchmark.specs.suite import RunSpec
from accord.envs.errors import UsageError

Status = Literal["done", "failed", "out of time", "out of memory"]
PACKAGES = (
    "accord-bench",
    "torch",
    "numpy",
    "scipy",
    "highspy",
    "pandas",
    "pettingzoo",
    "gymnasium",
    "wandb",
)


class Provenance(BaseModel):
    """Where a record was made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    git_revision: str
    python: str
    packages: dict[str, str]
    platform: str
    cpu: str
    instructions: str
    cores: int
    memory_gib: float
    gpu: str | None
    data_digest: str = ""

    def same_class(self, other: Provenance) -> bool:
        """Floating-point results should agree to the last bit between the two."""
        alike = ("platform", "cpu", "instructions", "gpu")
        return all(getattr(self, name) == getattr(other, name) for name in alike) and (
            self.packages.get("torch") == other.packages.get("torch")
        )


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: RunSpec
    status: Status
    error: str = ""
    metrics: dict[str, Value] = Field(default_factory=dict)
    provenance: Provenance
    policy: str = ""
    policy_revision: str = ""

    @property
    def summary(self) -> dict[str, Value]:
        """The metrics."""
        return self.metrics

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
            "spec": json.dumps(self.spec.identity()),
            "git_revision": from_where.git_revision,
            "data_digest": from_where.data_digest,
            "cpu": from_where.cpu,
            "gpu": from_where.gpu,
            "provenance": from_where.model_dump_json(),
        }


@lru_cache(maxsize=1)
def provenance_here() -> Provenance:
    """This machine, this checkout, these packages."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return Provenance(
        git_revision=_git_revision(),
        python=platform.python_version(),
        packages=versions,
        platform=f"{platform.system()} {platform.machine()}",
        cpu=_cpu_name(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )


def write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder's files so that it is complete or absent, replacing what was there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    for name, content in files.items():
        (scratch / name).write_bytes(content)
    if folder.exists():
        shutil.rmtree(folder)
    scratch.chmod(0o755)
    scratch.rename(folder)


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is complete or as before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as scratch:
        scratch.write(content)
    Path(scratch.name).chmod(0o644)
    Path(scratch.name).replace(path)


def read_traces(path: Path) -> dict[str, np.ndarray]:
    """Arrays for figures; none where the file is missing."""
    if not path.exists():
        return {}
    with np.load(path) as arrays:
        return dict(arrays)


def _git_revision() -> str:
    here = Path(__file__).resolve().parent
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+changes" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def load_record(path: Path) -> Record:
    """Read a record's JSON file.

    Raises:
        UsageError: it is not a record of this version.
    """
    try:
        return Record.model_validate_json(path.read_text())
    except ValidationError as error:
        text = f"{path}: not a record of this version ({explain(error)}); remove its folder or name another --root"
        raise UsageError(text) from None
