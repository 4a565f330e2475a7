"""Files that an address names: whose change gives it another meaning."""

from __future__ import annotations

import re
from pathlib import Path

Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(path: Path) -> Stamp:
    """Name, time of the last change and size of a file, or of every file in a folder; empty where nothing is.

    What the folder's `schema.json` names elsewhere counts too.
    """
    files = set(path.rglob("*")) if path.is_dir() else {path}
    schema = path / "schema.json"
    if schema.is_file():
        files |= {path / word for word in re.findall(r'"([^"\\]+)"', schema.read_text("utf-8", "replace"))}
    stats = [(str(file), file.stat()) for file in sorted(files) if file.is_file()]
    return tuple((name, max(stat.st_mtime_ns, stat.st_ctime_ns), stat.st_size) for name, stat in stats)
