"""Where things lie in a store: runs by the digest of their spec, policies by what they were trained on."""

from __future__ import annotations

import io
import json
import logging
from contextlib import nullcontext, suppress
from typing import Any

import numpy as np
import torch

from accord.benchmark.evaluation.context import Context
from accord.benchmark.places import SCRATCH, Place
from accord.benchmark.records.files import make_folder, remove_scratch, write_file, write_folder
from accord.benchmark.records.identity import context_key
from accord.benchmark.records.lease import EXPIRY, Leases
from accord.benchmark.records.record import Record, load_record, names_and_seed, read_record
from accord.benchmark.records.sealed import DamagedError, check_zip, open_json, seal_json, seal_zip, set_aside
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.urls import Url
from accord.envs.errors import UsageError
from accord.envs.scenario import Scenario

log = logging.getLogger("accord")
RECORD, TRACES = "record.json", "traces.npz"  # files of a run's folder; the first makes it complete
OF, RUN = "of", "_run"  # keys that say which scenario or policy, and which run, a file belongs to
LEASES = "leases"  # the folder of who does what
POSTS = ".launch-"  # begins the name of a folder in which the jobs of a launch elsewhere show themselves
TRACKED = "tracked"  # a file beside what was handed to W&B: a record, or a suite's report
CHECKPOINT = 2  # raised when what unfinished trainings keep changes


class Store:
    """Scratch runs under one folder or URL; several processes may share it, see `leases`."""

    def __init__(self, root: Place = SCRATCH, expiry: float = EXPIRY) -> None:
        """Set up.

        Args:
            root: The folder, which is made when first written to, or the URL.
            expiry: See `Leases`.
        """
        self.root = root
        self.leases = Leases(root / LEASES, expiry)

    def begin(self) -> None:
        """Before work is begun.

        Make the folder, remove what dead processes were writing, and say where several launches cannot share it.
        """
        make_folder(self.root)
        remove_scratch(self.root)
        if isinstance(self.root, Url) and not self.root.is_exclusive():
            log.warning(
                "%s: of several launches at once its file system cannot give work to one alone; start one at a time",
                self.root,
            )

    def folder(self, spec: RunSpec) -> Place:
        """A run's folder."""
        return self.root / "records" / spec.digest

    def load(self, spec: RunSpec) -> Record | None:
        """A run's record, or None where it has not been run; a damaged one is set aside.

        Raises:
            UsageError: it is of another version.
        """
        folder = self.folder(spec)
        try:
            return load_record(folder / RECORD)
        except FileNotFoundError:
            return None
        except DamagedError as fault:
            set_aside(folder, f"its record {fault}", "the run is carried out again")
            return None

    def save(self, record: Record, traces: dict[str, np.ndarray]) -> Record:
        """Keep a run, atomically, unless another process has kept it: a record that still holds is never replaced.

        Returns:
            The record that is kept.
        """
        files = {RECORD: seal_json(json.loads(record.model_dump_json()))}
        if traces:
            files[TRACES] = _npz(traces | {RUN: np.array(record.spec.digest)})
        # Behind a URL a folder is not replaced in one step.
        alone = (
            self.leases.hold(f"record-{record.spec.digest}", wait=True) if isinstance(self.root, Url) else nullcontext()
        )
        with alone:
            written = write_folder(self.folder(record.spec), files, lambda folder: _holds_as(record, folder))
        return record if written else self.load(record.spec) or record

    def tracked(self, spec: RunSpec) -> bool:
        """A run's record was handed to W&B."""
        return (self.folder(spec) / TRACKED).exists()

    def mark_tracked(self, spec: RunSpec) -> None:
        """Remember that a run's record was handed to W&B; a new record of the run forgets it."""
        with suppress(FileNotFoundError):  # a new record comes at this moment
            write_file(self.folder(spec) / TRACKED, b"")

    def tracked_leaderboard(self, suite: str) -> str:
        """What of a suite's leaderboard was last handed to W&B; empty where nothing was."""
        path = self._leaderboard_path(suite)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def mark_leaderboard_tracked(self, suite: str, state: str) -> None:
        """Remember a state of a suite's leaderboard that was handed to W&B."""
        write_file(self._leaderboard_path(suite), state.encode())

    def traces(self, spec: RunSpec) -> dict[str, np.ndarray]:
        """A run's arrays for figures; none where it has none, or where they are damaged, which is said."""
        path = self.folder(spec) / TRACES
        try:
            return open_traces(path)
        except FileNotFoundError:
            return {}
        except DamagedError as fault:
            log.warning("%s: %s; figures lack it; without its folder the run is carried out again", path, fault)
            return {}

    def records(self, suite: str | None = None) -> list[Record]:
        """Every record, or those of one suite, in the order of names and seeds; damaged ones are named and left out."""
        found = []
        # A name that begins with a dot is a folder whose writing was interrupted, or that was set aside.
        for path in sorted(self.root.glob(f"records/[!.]*/{RECORD}"), key=str):
            try:
                found.append(load_record(path))
            except FileNotFoundError:  # a new one takes its place at this moment
                continue
            except DamagedError as fault:
                log.warning("%s: %s; left out; accord run carries the run out again", path, fault)
            except UsageError as fault:
                log.warning("%s; left out", fault)
        return sorted((r for r in found if suite is None or r.spec.suite == suite), key=names_and_seed)

    def policy(self, name: str) -> PolicyFolder:
        """The folder of a trained policy, see `policy_here`."""
        return PolicyFolder(self.root / "policies" / name)

    def load_context(self, scenario: Scenario) -> Context | None:
        """What a scenario's runs are compared with, if it was computed; a damaged file is set aside."""
        path = self._context_path(scenario)
        try:
            return open_context(path)
        except FileNotFoundError:
            return None
        except DamagedError as fault:
            set_aside(path, str(fault), "it is computed again")
            return None

    def save_context(self, scenario: Scenario, context: Context) -> None:
        """Keep what a scenario's runs are compared with."""
        path = self._context_path(scenario)
        write_file(path, seal_json({OF: path.stem, **vars(context)}))

    def _leaderboard_path(self, suite: str) -> Place:
        return self.root / "reports" / suite / TRACKED

    def _context_path(self, scenario: Scenario) -> Place:
        return self.root / "contexts" / f"{context_key(scenario)}.json"


class PolicyFolder:
    """One trained policy and the checkpoint of its training; also the `Checkpoint` that a method is given."""

    def __init__(self, path: Place) -> None:
        """Set up.

        Args:
            path: The folder.
        """
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """The training's last state, or None; a damaged one is set aside.

        Raises:
            UsageError: it was left by another version.
        """
        file = self.path / "checkpoint.pt"
        state = self._load(file, "the training begins anew")
        if state is not None and state.get("version") != CHECKPOINT:
            raise UsageError(
                f"{file}: an unfinished training of another version of Accord, which this one cannot go on with; "
                "without this file it begins anew"
            )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keep the training's state."""
        self._write("checkpoint.pt", state | {"version": CHECKPOINT})

    def load_snapshots(self) -> list[dict[str, Any]]:
        """What an unfinished training has shown of itself so far, see `finished`; damaged, the training begins anew."""
        file, checkpoint = self.path / "snapshots.pt", self.path / "checkpoint.pt"
        there = file.exists()
        kept = self._load(file, "the training begins anew")
        if kept is None and there:
            checkpoint.unlink(missing_ok=True)  # going on from it, the training would lack its first snapshots
        return [] if kept is None else kept["snapshots"]

    def save_snapshots(self, snapshots: list[dict[str, Any]]) -> None:
        """Keep what an unfinished training has shown of itself."""
        self._write("snapshots.pt", {"snapshots": snapshots})

    def finished(self) -> dict[str, Any] | None:
        """The finished policy; a damaged one is set aside.

        Its keys: `state`, `curve` (rows), `snapshots` (rows of `fraction`, `steps`, `seconds` and `state`),
        `finished`, `seconds`, `steps`, `learned_steps`, `peak_memory`, `revision`.
        """
        return self._load(self.path / "policy.pt", "the policy is trained again")

    def finish(self, policy: dict[str, Any]) -> None:
        """Keep the finished policy; what an unfinished one needed goes."""
        self._write("policy.pt", policy)
        for name in ("checkpoint.pt", "snapshots.pt"):
            (self.path / name).unlink(missing_ok=True)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        buffer = io.BytesIO()
        torch.save(content | {OF: self.path.name}, buffer)
        write_file(self.path / name, seal_zip(buffer.getvalue()))

    def _load(self, file: Place, then: str) -> dict[str, Any] | None:
        """None where there is none, or where it is damaged."""
        try:
            return open_training(file)
        except FileNotFoundError:
            return None
        except DamagedError as fault:
            set_aside(file, str(fault), then)
            return None


def open_traces(path: Place) -> dict[str, np.ndarray]:
    """The arrays in a run's folder.

    Raises:
        DamagedError: they are not what was written there.
        FileNotFoundError: there are none.
    """
    raw = path.read_bytes()
    check_zip(raw)
    with np.load(io.BytesIO(raw)) as arrays:
        traces = dict(arrays)
    if str(traces.pop(RUN, "")) != path.parent.name:
        raise DamagedError("is of another run")
    return traces


def open_context(path: Place) -> Context:
    """What a scenario's runs are compared with.

    Raises:
        DamagedError: it is not what was written there.
        FileNotFoundError: there is none.
    """
    fields = open_json(path.read_bytes())
    if fields.pop(OF, "") != path.stem:
        raise DamagedError("is of another scenario")
    try:
        return Context(**fields)
    except TypeError as fault:
        raise DamagedError(f"is of another version ({fault})") from None


def open_training(path: Place) -> dict[str, Any]:
    """A policy, a checkpoint or snapshots in a policy's folder; nothing that the file holds is run.

    Raises:
        DamagedError: it is not what was written there.
        FileNotFoundError: there is none.
    """
    raw = path.read_bytes()
    check_zip(raw)
    content: dict[str, Any] = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    if content.pop(OF, "") != path.parent.name:
        raise DamagedError("is of another policy")
    return content


def _holds_as(new: Record, folder: Place) -> bool:
    """A folder holds a record of the same run, data, network and code that did not fail."""
    try:
        kept = read_record(folder / RECORD)
    except (FileNotFoundError, DamagedError, UsageError):
        return False
    same = kept.spec.digest == new.spec.digest and kept.identity == new.identity
    return same and kept.status != "failed"


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return seal_zip(buffer.getvalue())
