"""Files of a published folder and their digests, in its `SHA256SUMS`, which `sha256sum --check` reads too.

What was torn, changed by hand or put in another's place is noticed when it is read. Figures have no digest: nothing
reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from accord.benchmark.records.files import RESTORE, reading, write_file
from accord.envs.errors import UsageError

SUMS = "SHA256SUMS"
Digests = dict[str, set[str]]  # by a file's name


def write_published(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files and their digests, so that at every moment each file is what a digest of its name says.

    In a folder without digests the other files get those of what they are.

    Returns:
        All of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = {name: {hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    # While files are replaced, both digests of each stand there.
    before = _digests(folder) or {path.name: {_digest(path)} for path in folder.glob("[!.]*") if path.is_file()}
    kept = {name: digests for name, digests in before.items() if (folder / name).exists()}
    _write(folder, {name: _of(kept, name) | _of(new, name) for name in {**kept, **new}})
    for name, content in files.items():
        write_file(folder / name, content)
    _write(folder, kept | new)
    return [folder / name for name in (*files, SUMS)]


def read_published(path: Path) -> bytes:
    """A file of a published folder; a folder without digests is taken as it is.

    Raises:
        UsageError: it is not what was published.
    """
    digests = _digests(path.parent)
    content = path.read_bytes()
    if (path.parent / SUMS).exists() and hashlib.sha256(content).hexdigest() not in _of(digests, path.name):
        raise UsageError(f"{path}: is not what its digest in {SUMS} says; {RESTORE}")
    return content


def changed(results: Path) -> Iterator[str]:
    """A line for each file of published folders that is not what was published there."""
    for sums in sorted(results.rglob(SUMS)):
        try:
            names = sorted(_digests(sums.parent))
        except UsageError as fault:
            yield str(fault)
            continue
        for name in names:
            try:
                read_published(sums.parent / name)
            except FileNotFoundError:
                yield f"{sums.parent / name}: is missing, and has a digest in {SUMS}; {RESTORE}"
            except UsageError as fault:
                yield str(fault)


def _digests(folder: Path) -> Digests:
    found: Digests = {}
    path = folder / SUMS
    if not path.exists():
        return found
    with reading(path, RESTORE):
        for line in path.read_text(encoding="ascii").splitlines():
            digest, name = line.split("  ")
            found.setdefault(name, set()).add(digest)
    return found


def _write(folder: Path, digests: Digests) -> None:
    lines = [f"{digest}  {name}\n" for name, each in sorted(digests.items()) for digest in sorted(each)]
    write_file(folder / SUMS, "".join(lines).encode())


def _of(digests: Digests, name: str) -> set[str]:
    return digests.get(name, set())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
