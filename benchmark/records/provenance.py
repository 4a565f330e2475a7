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


@cache
def digest_of_code() -> str:
    """SHA-256 over sources and methods' settings, hex: a measurement belongs to the code that was measured."""
    total = hashlib.sha256()
    for package, kinds in {"envs": ["*.py"], "baselines": ["*.py", "*.yaml"], "benchmark": ["*.py"]}.items():
        root = Path(str(resources.files(f"accord.{package}")))
        for path in sorted(path for kind in kinds for path in root.rglob(kind)):
            total.update(f"{package}/{path.relative_to(root)}\n".encode() + path.read_bytes())
    return total.hexdigest()


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
