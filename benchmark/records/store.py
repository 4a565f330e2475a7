"""Where things lie on disk: runs by the digest of their spec, policies by what they were trained on."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accord.benchmark.evaluation.context import Context
from accord.benchmark.places import SCRATCH
from accord.benchmark.records.files import read_traces, reading, write_file, write_folder
from accord.benchmark.records.identity import context_key
from accord.benchmark.records.record import Record, load_record
from accord.benchmark.specs.run import RunSpec
from accord.envs.errors import UsageError
from accord.envs.scenario import Scenario

TRACKED = "tracked"  # a file beside what was handed to W&B: a record, or a suite's report
CHECKPOINT = 2  # raised when what unfinished trainings keep changes


class Store:
    """Scratch runs under one folder, which git ignores."""

    def __init__(self, root: Path = SCRATCH) -> None:
        """Set up.

        Args:
            root: The folder; it is made when first written to.
        """
        self.root = root

    def folder(self, spec: RunSpec) -> Path:
        """A run's folder."""
        return self.root / "records" / spec.digest

    def load(self, spec: RunSpec) -> Record | None:
        """A run's record, or None where it has not been run."""
        try:
            return load_record(self.folder(spec) / "record.json")
        except FileNotFoundError:
            return None

    def save(self, record: Record, traces: dict[str, np.ndarray]) -> None:
        """Keep a run, atomically."""
        files = {"record.json": record.model_dump_json(indent=1).encode()}
        if traces:
            files["traces.npz"] = _npz(traces)
        write_folder(self.folder(record.spec), files)

    def tracked(self, spec: RunSpec) -> bool:
        """A run's record was handed to W&B."""
        return (self.folder(spec) / TRACKED).exists()

    def mark_tracked(self, spec: RunSpec) -> None:
        """Remember that a run's record was handed to W&B; a new record of the run forgets it."""
        write_file(self.folder(spec) / TRACKED, b"")

    def tracked_leaderboard(self, suite: str) -> str:
        """What of a suite's leaderboard was last handed to W&B; empty where nothing was."""
        path = self._leaderboard_path(suite)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def mark_leaderboard_tracked(self, suite: str, state: str) -> None:
        """Remember a state of a suite's leaderboard that was handed to W&B."""
        write_file(self._leaderboard_path(suite), state.encode())

    def traces(self, spec: RunSpec) -> dict[str, np.ndarray]:
        """A run's arrays for figures; see `read_traces`."""
        return read_traces(self.folder(spec) / "traces.npz")

    def records(self, suite: str | None = None) -> list[Record]:
        """Every record, or those of one suite, in the order of names and seeds."""
        # A name that begins with a dot is a folder whose writing was interrupted.
        found = map(load_record, sorted(self.root.glob("records/[!.]*/record.json")))
        return sorted((r for r in found if suite is None or r.spec.suite == suite), key=lambda r: _order(r.spec))

    def policy(self, name: str) -> PolicyFolder:
        """The folder of a trained policy, see `policy_here`."""
        return PolicyFolder(self.root / "policies" / name)

    def load_context(self, scenario: Scenario) -> Context | None:
        """What a scenario's runs are compared with, if it was computed.

        Raises:
            UsageError: the file cannot be read.
        """
        path = self._context_path(scenario)
        if not path.exists():
            return None
        with reading(path, "remove it, and it is computed again"):
            return Context(**json.loads(path.read_text(encoding="utf-8")))

    def save_context(self, scenario: Scenario, context: Context) -> None:
        """Keep what a scenario's runs are compared with."""
        write_file(self._context_path(scenario), json.dumps(vars(context)).encode())

    def _leaderboard_path(self, suite: str) -> Path:
        return self.root / "reports" / suite / TRACKED

    def _context_path(self, scenario: Scenario) -> Path:
        return self.root / "contexts" / f"{context_key(scenario)}.json"


class PolicyFolder:
    """One trained policy and the checkpoint of its training; also the `Checkpoint` that a method is given."""

    def __init__(self, path: Path) -> None:
        """Set up.

        Args:
            path: The folder.
        """
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """The training's last state, or None.

        Raises:
            UsageError: the file cannot be read, or was left by another version.
        """
        file = self.path / "checkpoint.pt"
        state = _load_pt(file, "remove its folder, and the training begins anew")
        if state is not None and state.get("version") != CHECKPOINT:
            raise UsageError(
                f"{file}: an unfinished training of another version of Accord, which this one cannot go on with; "
                "without this file it begins anew"
            )
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Keep the training's state."""
        write_file(self.path / "checkpoint.pt", _pt(state | {"version": CHECKPOINT}))

    def load_snapshots(self) -> list[dict[str, Any]]:
        """What an unfinished training has shown of itself so far, see `finished`.

        Raises:
            UsageError: the file cannot be read.
        """
        kept = _load_pt(self.path / "snapshots.pt", "remove its folder, and the training begins anew")
        return [] if kept is None else kept["snapshots"]

    def save_snapshots(self, snapshots: list[dict[str, Any]]) -> None:
        """Keep what an unfinished training has shown of itself."""
        write_file(self.path / "snapshots.pt", _pt({"snapshots": snapshots}))

    def finished(self) -> dict[str, Any] | None:
        """The finished policy.

        Its keys: `state`, `curve` (rows), `snapshots` (rows of `fraction`, `steps`, `seconds` and `state`),
        `finished`, `seconds`, `steps`, `learned_steps`, `peak_memory`, `revision`.

        Raises:
            UsageError: the file cannot be read.
        """
        return _load_pt(self.path / "policy.pt", "remove it, and the policy is trained again")

    def finish(self, policy: dict[str, Any]) -> None:
        """Keep the finished policy; what an unfinished one needed goes."""
        write_file(self.path / "policy.pt", _pt(policy))
        for name in ("checkpoint.pt", "snapshots.pt"):
            (self.path / name).unlink(missing_ok=True)


def _order(spec: RunSpec) -> tuple[str, ...]:
    return (spec.suite, spec.scenario, spec.method, spec.variant, f"{spec.seed:06d}")


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _load_pt(file: Path, remedy: str) -> dict[str, Any] | None:
    """A file of torch; None where there is none."""
    if not file.exists():
        return None
    with reading(file, remedy):
        content: dict[str, Any] = torch.load(file, weights_only=True)
        return content


def _pt(content: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
