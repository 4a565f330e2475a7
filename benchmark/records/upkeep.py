"""A store's upkeep: every file held against its digest, what interrupted writes left, and suites taken elsewhere."""

from __future__ import annotations

import io
import math
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from accord.benchmark.places import Place
from accord.benchmark.records.files import make_folder, scratch_name, write_file
from accord.benchmark.records.identity import context_key
from accord.benchmark.records.record import Record, load_record
from accord.benchmark.records.sealed import ASIDE, DamagedError
from accord.benchmark.records.store import (
    LEASES,
    POSTS,
    RECORD,
    TRACES,
    Store,
    open_context,
    open_traces,
    open_training,
)
from accord.benchmark.urls import Url
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

DAY = 24 * 3600.0  # seconds; a write that began earlier is over
KINDS: dict[str, Callable[[Place], Any]] = {
    f"records/[!.]*/{RECORD}": load_record,
    f"records/[!.]*/{TRACES}": open_traces,
    "policies/*/[!.]*.pt": open_training,
    "contexts/[!.]*.json": open_context,
}
PLACES = ("records", "policies", "contexts")


def faults(root: Place) -> Iterator[str]:
    """A line for each file of a store that is not what was written there."""
    for pattern, read in KINDS.items():
        for path in sorted(root.glob(pattern), key=str):
            try:
                read(path)
            except DamagedError as fault:
                yield f"{path}: {fault}"
            except UsageError as fault:
                yield str(fault)


def litter(root: Place, now: float | None = None) -> Sequence[Place]:
    """What interrupted writes and dead processes left a day ago or earlier, and what was set aside."""
    now = time.time() if now is None else now
    if isinstance(root, Url):
        return [*_litter_behind_url(root, now)]
    assert isinstance(root, Path)
    hidden = [path for place in PLACES for path in _hidden(root / place)]
    left = [*hidden, *root.glob(f"{LEASES}/*"), *root.glob(f"{POSTS}*")]
    return sorted(path for path in left if path.name.endswith(ASIDE) or now - _last_written(path) > DAY)


def _hidden(folder: Path) -> Iterator[Path]:
    """The hidden files and folders in a folder, however deep, and not what is in these; what goes is passed over."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files) if name.startswith("."))
        folders[:] = [name for name in folders if not name.startswith(".")]


def _last_written(path: Path) -> float:
    """When a file, or a folder or anything in it, was last written; never over where it is removed at this moment."""
    try:
        return max(part.stat().st_mtime for part in (path, *path.rglob("*")))
    except FileNotFoundError:
        return math.inf


def _litter_behind_url(root: Url, now: float) -> Iterator[Url]:
    """What was set aside, leases, and what jobs elsewhere showed, file by file; a write there leaves nothing."""
    for file in root.files():
        first, *words = file.relative_to(root).parts
        if first in PLACES and any(word.startswith(".") and word.endswith(ASIDE) for word in words):
            yield file
        elif first == LEASES or first.startswith(POSTS):
            with suppress(FileNotFoundError):  # released at this moment
                if now - (file.modified() or now) > DAY:
                    yield file


def export(store: Store, suite: str, target: Path) -> int:
    """Write the runs of a suite, or all without a name, with their policies and comparisons, as a tar archive.

    Returns:
        How many runs.

    Raises:
        UsageError: there are none.
    """
    records = store.records(suite or None)
    if not records:
        raise UsageError(f"--suite '{suite}': no runs under {store.root}/" if suite else f"no runs under {store.root}/")
    paths = sorted({path for record in records for path in _files_of(store, record)}, key=str)
    with tarfile.open(target, "w") as archive:
        for path in paths:
            with suppress(FileNotFoundError):
                _add(archive, path, str(path.relative_to(store.root)))
    return len(records)


def _add(archive: tarfile.TarFile, path: Place, name: str) -> None:
    if isinstance(path, Path):
        archive.add(path, name, recursive=False)
        return
    content, info = path.read_bytes(), tarfile.TarInfo(name)
    info.size, info.mtime = len(content), time.time()
    archive.addfile(info, io.BytesIO(content))


def _files_of(store: Store, record: Record) -> Iterator[Place]:
    folder = store.folder(record.spec)
    yield from (folder / name for name in (RECORD, TRACES))
    if record.policy_name:
        yield store.root / "policies" / record.policy_name / "policy.pt"
    try:
        scenario = resolve(record.spec.scenario)
    except UsageError:  # its family is another package's, or was registered by a file
        return
    for compared in (scenario, scenario.validation):
        if compared is not None:
            yield store.root / "contexts" / f"{context_key(compared)}.json"


def take_in(store: Store, source: Path) -> tuple[int, int]:
    """Add what an archive of `export` holds; what is there already stays.

    Returns:
        How many files were added, and how many stay as they were.

    Raises:
        UsageError: it is no such archive, or one of its files is damaged; then nothing is added.
    """
    make_folder(store.root)
    beside = store.root if isinstance(store.root, Path) else None
    with tempfile.TemporaryDirectory(prefix=scratch_name("import"), dir=beside) as scratch:
        new = Path(scratch)
        try:
            with tarfile.open(source) as archive:
                archive.extractall(new, filter="data")
        except (tarfile.TarError, EOFError) as fault:
            raise UsageError(f"{source}: not an archive of accord store export ({fault})") from None
        # A record comes last, behind what belongs to it: stopped midway, the same call adds the rest.
        found = sorted((path for path in new.rglob("*") if path.is_file()), key=lambda p: (p.name == RECORD, p))
        known = {path for pattern in KINDS for path in new.glob(pattern)}
        strange = [path for path in found if path not in known]
        if strange or not found:
            what = f"holds {strange[0].relative_to(new)}" if strange else "is empty"
            raise UsageError(f"{source}: {what}; allowed: what accord store export wrote")
        if (line := next(faults(new), None)) is not None:
            raise UsageError(f"{source}: {line.replace(f'{new}/', '')}; nothing of it was added")
        added = sum(_place(path, store.root / str(path.relative_to(new))) for path in found)
    return added, len(found) - added


def _place(path: Path, place: Place) -> bool:
    """Put a file where none is."""
    if place.exists():
        return False
    if isinstance(place, Path):
        make_folder(place.parent)
        path.replace(place)
    else:
        write_file(place, path.read_bytes())
    return True
