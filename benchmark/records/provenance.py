"""Where a record was made: machine, checkout, packages, code."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

import psutil
import torch
from pydantic import BaseModel, ConfigDict

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
NUMERICAL = ("torch", "numpy", "scipy", "highspy")  # whose versions may move the last bits
CODE = ("src", "envs", "baselines", "benchmark", "pyproject.toml", "constraints.txt")
CHANGED = "+changes"  # after a revision whose code was changed since


class Provenance(BaseModel):
    """Where a record was made; of GPUs the one that computed it, None where a processor did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    git_revision: str
    python: str
    packages: dict[str, str]
    platform: str
    cpu: str
    cpu_model: str = ""
    instructions: str
    cores: int
    memory_gib: float
    gpu: str | None
    data_digest: str = ""

    def same_class(self, other: Provenance) -> bool:
        """Floating-point results should agree to the last bit between the two."""
        alike = ("platform", "cpu", "instructions", "gpu")
        models = {self.cpu_model, other.cpu_model} - {""}  # records of before name none
        return (
            all(getattr(self, name) == getattr(other, name) for name in alike)
            and len(models) <= 1
            and all(self.packages.get(name) == other.packages.get(name) for name in NUMERICAL)
        )


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
        cpu=_cpu_field("model name") or platform.processor() or platform.machine(),
        cpu_model=" ".join(filter(None, map(_cpu_field, ("cpu family", "model")))),
        instructions=torch.backends.cpu.get_cpu_capability(),
        cores=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    )


def provenance_of(device: str, data: str) -> Provenance:
    """Of a run that was computed here.

    Args:
        device: cpu or cuda.
        data: Digest of its data.
    """
    here = provenance_here()
    return here.model_copy(update={"data_digest": data, "gpu": None if device == "cpu" else here.gpu})


@cache
def digest_of_sources() -> str:
    """SHA-256 over sources and methods' settings, hex: a measurement belongs to the code that was measured."""
    total = hashlib.sha256()
    for package, kinds in {"envs": ["*.py"], "baselines": ["*.py", "*.yaml"], "benchmark": ["*.py"]}.items():
        root = Path(str(resources.files(f"accord.{package}")))
        for path in sorted(path for kind in kinds for path in root.rglob(kind)):
            total.update(f"{package}/{path.relative_to(root)}\n".encode() + path.read_bytes())
    return total.hexdigest()


def _git_revision() -> str:
    """The checkout's revision, marked where code was changed since; `unknown` where this is no checkout of Accord."""
    here = Path(__file__).resolve()
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)  # a checkout of something else may hold our folder
        root = Path(_git(here.parent, "rev-parse", "--show-toplevel"))
        changed = _git(root, "status", "--porcelain", "--", *CODE)
        return _git(root, "rev-parse", "HEAD") + (CHANGED if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    command = ["git", "--no-optional-locks", *words]  # a look must not be in the way of who works there
    return os.fsdecode(subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout).strip()


def _cpu_field(name: str) -> str:
    """What Linux says of the first core."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.split("\t")[0].strip() == name), "")
