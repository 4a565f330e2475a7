"""A store's upkeep: every file held against its digest, what interrupted writes left, and suites taken elsewhere."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from accord.benchmark.records.identity import context_key
from accord.benchmark.records.record import Record, load_record
from accord.benchmark.records.sealed import ASIDE, DamagedError
from accord.benchmark.records.store import LEASES, Store, open_context, open_traces, open_training
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

DAY = 24 * 3600.0  # seconds; a write that began earlier is over
KINDS: dict[str, Callable[[Path], Any]] = {
    "records/[!.]*/record.json": load_record,
    "records/[!.]*/traces.npz": open_traces,
    "policies/*/[!.]*.pt": open_training,
    "contexts/[!.]*.json": open_context,
}
PLACES = ("records", "policies", "contexts")


def faults(root: Path) -> Iterator[str]:
    """A line for each file of a store that is not what was written there."""
    for pattern, read in KINDS.items():
        for path in sorted(root.glob(pattern)):
            try:
                read(path)
            except DamagedError as fault:
                yield f"{path}: {fault}"
            except UsageError as fault:
                yield str(fault)


def litter(root: Path, now: float | None = None) -> list[Path]:
    """What interrupted writes and dead processes left a day ago or earlier, and what was set aside."""
    now = time.time() if now is None else now
    hidden = [path for place in PLACES for path in (root / place).rglob(".*")]
    outer = [path for path in hidden if not any(parent in hidden for parent in path.parents)]
    left = [*outer, *root.glob(f"{LEASES}/*")]
    return sorted(path for path in left if path.name.endswith(ASIDE) or now - path.stat().st_mtime > DAY)


def remove(paths: list[Path]) -> None:
    """Remove files and folders, as far as they are still there."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
    paths = sorted({path for record in records for path in _files_of(store, record) if path.exists()})
    with tarfile.open(target, "w") as archive:
        for path in paths:
            archive.add(path, path.relative_to(store.root), recursive=False)
    return len(records)


def _files_of(store: Store, record: Record) -> Iterator[Path]:
    folder = store.folder(record.spec)
    yield from (folder / name for name in ("record.json", "traces.npz"))
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
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=store.root) as scratch:
        new = Path(scratch)
        try:
            with tarfile.open(source) as archive:
                archive.extractall(new, filter="data")
        except (tarfile.TarError, EOFError) as fault:
            raise UsageError(f"{source}: not an archive of accord store export ({fault})") from None
        found = sorted(path for path in new.rglob("*") if path.is_file())
        known = {path for pattern in KINDS for path in new.glob(pattern)}
        strange = [path for path in found if path not in known]
        if strange or not found:
            what = f"holds {strange[0].relative_to(new)}" if strange else "is empty"
            raise UsageError(f"{source}: {what}; allowed: what accord store export wrote")
        if (line := next(faults(new), None)) is not None:
            raise UsageError(f"{source}: {line.replace(f'{new}/', '')}; nothing of it was added")
        added = 0
        for path in found:
            place = store.root / path.relative_to(new)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
                added += 1
    return added, len(found) - added
