"""Files that an address names: whose change gives it another meaning."""

from __future__ import annotations

import re
from os.path import isfile  # which is False where a name is too long to be one
from pathlib import Path

Stamp = tuple[tuple[str, int, int], ...]


def stamp_of(path: Path) -> Stamp:
    """Name, time of the last change and size of a file; of a folder those of its `schema.json` and of what that names.

    Empty where nothing is.
    """
    schema = path / "schema.json"
    files = {path, schema}
    if isfile(schema):
        files |= {path / word for word in re.findall(r'"([^"\\]+)"', schema.read_text("utf-8", "replace"))}
    stats = [(str(file), file.stat()) for file in sorted(files) if isfile(file)]
    return tuple((name, max(stat.st_mtime_ns, stat.st_ctime_ns), stat.st_size) for name, stat in stats)
