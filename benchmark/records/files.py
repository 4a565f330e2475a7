"""Writing files so that they are complete or as before."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np


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
