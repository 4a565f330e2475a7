"""Weights & Biases: a project per suite, in it a run for each (scenario, method, variant, seed), grouped by method.

A run is there from its start. Its log grows while its training goes on; at its end come the learning curve, daily
means, every metric and the policy. All of it happens in the launching process, which trainings tell how far they are.
What fails at W&B is said once, and neither ends the suite nor loses a record.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from accord.baselines.registry import METHODS, REFERENCES
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.jobs import Row
from accord.benchmark.places import local_folder
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.specs.run import CPU, RunSpec, digest_of

Mode = Literal["online", "offline", "disabled"]
PROJECT = "accord"  # with the suite's name after it, unless WANDB_PROJECT names another
OTHERS = {"n_agents": "scaling"}  # sections of what is recorded beside the metrics
STEPS = {"train": "steps", "validation": "steps", "day": "day", "scaling": "n_agents"}  # the x-axis of each section
POINTS = 200  # of a training's log that are shown
LONGEST_TAG = 64  # characters, W&B's own limit
# What these say of one run would be said of all runs of a suite: W&B would take them for the same.
OF_ONE_RUN = (
    *("RUN_ID", "NAME", "NOTES", "TAGS", "RUN_GROUP", "JOB_TYPE", "RESUME", "RESUME_FROM", "FORK_FROM"),
    *("SWEEP_ID", "SWEEP_PARAM_PATH", "LAUNCH", "LAUNCH_CONFIG_PATH", "MODE", "DIR"),
)
log = logging.getLogger("accord")


class Tracker:
    """Shows runs at W&B; a listener of `launch`. A failure online turns to offline, one offline ends tracking."""

    def __init__(self, mode: Mode, store: Store) -> None:
        """Set up.

        Args:
            mode: Online, offline or disabled.
            store: Where runs are kept; W&B's own files are in its folder, see `local_folder`.
        """
        self.mode, self._store = mode, store
        self._folder = local_folder(store.root)
        self._live: dict[str, _Live] = {}

    def __enter__(self) -> Self:
        """Track until the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End what was interrupted; the call that goes on with it shows it anew, under the same id."""
        for live in self._live.values():
            with suppress(Exception):  # the interruption is what is told
                live.run.finish(exit_code=1)

    def begin(self, spec: RunSpec) -> None:
        """See `Listener.begin`."""
        self._guarded(lambda: self._live_of(spec))

    def train(self, spec: RunSpec, row: Row) -> None:
        """See `Listener.train`."""
        self._guarded(lambda: self._live_of(spec).train(row))

    def end(self, record: Record) -> None:
        """See `Listener.end`; remembers in the store that the run was tracked."""
        if self._guarded(lambda: self._finish(record)):
            self._store.mark_tracked(record.spec)

    def catch_up(self, records: Sequence[Record]) -> None:
        """Show those that no call has tracked: it was stopped, or told not to; and what was begun here to the end."""
        for record in records:
            if record.spec.digest in self._live or not self._store.tracked(record.spec):
                self.end(record)

    def log_leaderboard(self, suite: str, board: pd.DataFrame, files: Sequence[Path]) -> bool:
        """A suite's leaderboard as a table, its figures, and all files as an artifact; once, until it changes."""
        state = digest_of([suite, board.to_csv(index=False)])
        if self._store.tracked_leaderboard(suite) == state:
            return False
        done = self._guarded(lambda: self._write_leaderboard(state, suite, board, files))
        if done:
            self._store.mark_leaderboard_tracked(suite, state)
        return done

    def log_scale(self, rows: Sequence[Mapping[str, Any]], files: Sequence[Path]) -> bool:
        """The suite `scale`: one W&B run per line with `scaling/*` against `scaling/n_agents`, and its files."""
        return self._guarded(lambda: self._write_scale(rows, files))

    def _guarded(self, write: Callable[[], object]) -> bool:
        if self.mode == "disabled":
            return False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write()
        except Exception as fault:  # whatever goes wrong at W&B, the suite goes on
            text = " ".join(str(fault).split()) or type(fault).__name__
            self._live.clear()  # each is shown again, whole, at its end
            if self.mode == "online":
                log.warning("W&B: %s; runs are kept offline under %s/wandb from here", text, self._folder)
                self.mode = "offline"
                return self._guarded(write)
            log.warning("W&B: %s; tracking is off for the rest, records are complete", text)
            self.mode = "disabled"
            return False
        return True

    def _live_of(self, spec: RunSpec) -> _Live:
        """A run that goes on, begun here if it was not."""
        live = self._live.get(spec.digest)
        if live is None:
            name = " ".join(part for part in (spec.scenario, spec.method, spec.variant, f"seed {spec.seed}") if part)
            run = self._init(spec.digest, spec.suite, name, group=spec.method, tags=tags(spec), config=settings(spec))
            live = self._live[spec.digest] = _Live(run, spec.effort.steps if spec.effort else 0)
        return live

    def _finish(self, record: Record) -> None:
        import wandb  # here and below where it is used: it takes a second to load

        live, spec = self._live_of(record.spec), record.spec
        folder = self._store.policy(record.policy_name) if record.policy_name else None
        policy = folder.finished() if folder else None
        for row in policy["curve"] if policy else ():
            live.train(row)
        traces = self._store.traces(spec)
        for row in _validation(traces):
            live.show("validation", row)
        for row in _days(traces):
            live.show("day", row)
        live.run.log(sectioned(record))
        live.run.config.update({"provenance": record.provenance.model_dump(), "status": record.status})
        if folder is not None and policy is not None:
            artifact = wandb.Artifact(f"policy-{record.policy_name}", type="policy")
            file = folder.path / "policy.pt"
            if isinstance(file, Path):
                artifact.add_file(str(file), policy="immutable")  # not copied: it stays as it is
            else:
                with artifact.new_file(file.name, mode="wb") as copy:
                    copy.write(file.read_bytes())
            live.run.log_artifact(artifact)
        live.run.finish(exit_code=int(record.status == "failed"))
        del self._live[spec.digest]

    def _write_leaderboard(self, state: str, suite: str, board: pd.DataFrame, files: Sequence[Path]) -> None:
        import wandb

        config = {"suite": suite}
        with self._init(state, suite, f"{suite} leaderboard", group="leaderboard", tags=[suite], config=config) as run:
            plain = board.astype(object).where(board.notna(), None)
            rows: list[Iterable[Any]] = [*plain.to_numpy().tolist()]
            run.log({"leaderboard": wandb.Table(columns=list(plain.columns), data=rows)})
            run.log(_images(files))
            run.log_artifact(_artifact(f"{suite}-leaderboard", files))

    def _write_scale(self, rows: Sequence[Mapping[str, Any]], files: Sequence[Path]) -> None:
        suite = "scale"
        for line in dict.fromkeys(row["line"] for row in rows):
            shown = [
                {name: value for name, value in row.items() if name not in ("line", "fresh")}
                for row in rows
                if row["line"] == line
            ]
            config = {"suite": suite, "line": line}
            with self._init(
                digest_of([suite, line, shown]), suite, line, group="lines", tags=[suite], config=config
            ) as run:
                for row in shown:
                    run.log({f"scaling/{name}": value for name, value in row.items()})
        name = f"{suite} report"
        state = digest_of([suite, [dict(row) | {"fresh": None} for row in rows]])
        with self._init(state, suite, name, group="leaderboard", tags=[suite], config={"suite": suite}) as run:
            run.log(_images(files))
            run.log_artifact(_artifact(f"{suite}-report", files))

    def _init(
        self, digest: str, suite: str, name: str, *, group: str, tags: Sequence[str], config: Mapping[str, Any]
    ) -> Any:
        """A new W&B run beside those that go on; the same digest takes the place of an earlier one."""
        with _unset(f"WANDB_{word}" for word in OF_ONE_RUN):
            import wandb

            quiet = wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                x_disable_meta=True,
                disable_git=True,
                init_timeout=20,
            )
            run = wandb.init(
                id=digest,
                project=os.environ.get("WANDB_PROJECT") or f"{PROJECT}-{suite}".rstrip("-"),
                name=name,
                group=group,
                tags=[tag[:LONGEST_TAG] for tag in dict.fromkeys(tags) if tag],
                config=dict(config),
                mode=self.mode,
                dir=str(self._folder),
                reinit="create_new",
                settings=quiet,
            )
        for section, step in STEPS.items():
            run.define_metric(f"{section}/*", step_metric=f"{section}/{step}")
        return run


@dataclass
class _Live:
    """A W&B run that goes on, and which points of its training's log it has."""

    run: Any
    steps: int
    points: set[int] = field(default_factory=set)

    def train(self, row: Row) -> None:
        """Show a row of the log unless its point is there: of a training that others share, or was taken up again."""
        point = int(POINTS * row["steps"] / self.steps)
        if point not in self.points:
            self.points.add(point)
            self.show("train", row)

    def show(self, section: str, row: Row) -> None:
        self.run.log({f"{section}/{name}": value for name, value in row.items()})


def settings(spec: RunSpec) -> dict[str, Any]:
    """What a run's charts and a sweep can be made over: the method's settings by their names, and the spec's words."""
    words = spec.model_dump(mode="json")
    return words.pop("config") | words


def tags(spec: RunSpec) -> list[str]:
    """The suite, the first word of the address, which names the district or the family, the method's; a GPU."""
    found = [spec.suite, spec.scenario.partition("/")[0], _family(spec.method)]
    return found if spec.device == CPU else [*found, spec.device]


def sectioned(record: Record) -> dict[str, Any]:
    """A record's metrics under `feasibility/`, `violation/`, `scaling/` and, the rest, `metrics/`."""
    section_of = OTHERS | {name: entry.section for name, entry in METRICS.items()}
    known = {**record.metrics, "status": record.status}
    return {f"{section_of.get(name, 'metrics')}/{name}": value for name, value in known.items() if value is not None}


def _family(method: str) -> str:
    """The room of a method of ours (consensus, learners, lgtc, control), or the package that it comes from."""
    if method in REFERENCES:
        return "reference"
    entry = METHODS[method]
    words = (entry.registered_in or entry.method.__module__).split(".")
    return words[2] if words[:2] == ["accord", "baselines"] else words[0]


def _validation(traces: Mapping[str, np.ndarray]) -> Iterator[dict[str, float]]:
    """The learning curve point by point: gap and violation on the validation hours, or the return, against steps."""
    curve = {name.removeprefix("curve_"): traces[name] for name in traces if name.startswith("curve_")}
    for i in range(len(curve.get("steps", ()))):
        point = {name: float(values[i]) for name, values in curve.items()}
        yield {name: value for name, value in point.items() if math.isfinite(value)}


def _days(traces: Mapping[str, np.ndarray]) -> list[dict[str, float]]:
    """Daily means of the district, and of the multipliers at the end of each day."""
    hourly = {name.removeprefix("district_"): traces[name] for name in traces if name.startswith("district_")}
    if not hourly:
        return []
    days = min(len(values) for values in hourly.values()) // 24
    rows: list[dict[str, float]] = []
    for day in range(days):
        row = {name: float(values[24 * day : 24 * day + 24].mean()) for name, values in hourly.items()}
        if "multipliers" in traces and day < len(traces["multipliers"]):
            today = traces["multipliers"][day]
            row |= {"multiplier_mean": float(today.mean()), "multiplier_max": float(today.max())}
        rows.append({"day": day, **row})
    return rows


def _images(files: Sequence[Path]) -> dict[str, Any]:
    import wandb

    return {f"figures/{file.stem}": wandb.Image(str(file)) for file in files if file.suffix == ".png"}


def _artifact(name: str, files: Sequence[Path]) -> Any:
    import wandb

    allowed = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
    artifact = wandb.Artifact(allowed, type="leaderboard")
    for file in files:
        artifact.add_file(str(file))
    return artifact


@contextmanager
def _unset(names: Iterable[str]) -> Iterator[None]:
    """Without these variables of the environment."""
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)
