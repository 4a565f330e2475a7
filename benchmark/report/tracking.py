"""Weights & Biases: one run per (scenario, method, variant, seed), grouped by suite.

Offline unless told otherwise. Tracking happens after a record is complete, in the launching process, so
that no account, no network and no failure of the service can stop or slow a run.
"""

from __future__ import annotations

import logging
import netrc
import os
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

import numpy as np

from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.record import Record
from accord.envs.errors import UsageError

Mode = Literal["online", "offline", "disabled"]
PROJECT = "accord"
OTHERS = {"n_agents": "scaling"}  # sections of what is recorded beside the metrics
log = logging.getLogger("accord")


def tracking_mode(flag: str | None) -> Mode:
    """The mode: the command line's word, else WANDB_MODE, else offline.

    Raises:
        UsageError: a word that is no mode.
    """
    word, source = (flag, "--wandb") if flag else (os.environ.get("WANDB_MODE") or "offline", "WANDB_MODE")
    if word not in get_args(Mode):
        raise UsageError(f"{source}: unknown mode '{word}'; allowed: {', '.join(get_args(Mode))}")
    return cast(Mode, word)


class Tracker:
    """Logs finished records. A failure online turns to offline, one offline ends tracking; neither ends the suite."""

    def __init__(self, mode: Mode, folder: Path) -> None:
        """Set up.

        Args:
            mode: Online, offline or disabled.
            folder: The folder under which W&B keeps its files.
        """
        self.mode, self._folder = mode, folder
        if mode == "online" and not _has_account():
            log.warning("W&B: no API key on this machine, so runs are kept offline under %s/wandb", folder)
            self.mode = "offline"

    def log_run(self, record: Record, curve: list[dict[str, float]], traces: dict[str, np.ndarray]) -> bool:
        """One record as one W&B run; True if it was kept."""
        spec = record.spec
        config = spec.model_dump(mode="json") | {
            "provenance": record.provenance.model_dump(),
            "status": record.status,
        }
        name = " ".join(part for part in (spec.scenario, spec.method, spec.variant, f"seed {spec.seed}") if part)
        return self._guarded(lambda: self._write_run(name, config, record, curve, traces))

    def log_leaderboard(self, suite: str, table: Any, files: list[Path]) -> bool:
        """A suite's leaderboard as a table and, with its files, as an artifact."""
        return self._guarded(lambda: self._write_leaderboard(suite, table, files))

    def log_scale(self, rows: list[dict[str, Any]], files: list[Path]) -> bool:
        """The suite `scale`: one W&B run per line with `scaling/*` against `scaling/n_agents`, and its files."""
        return self._guarded(lambda: self._write_scale(rows, files))

    def _guarded(self, write: Any) -> bool:
        if self.mode == "disabled":
            return False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write()
        except Exception as fault:  # whatever goes wrong at W&B, the suite goes on
            text = " ".join(str(fault).split()) or type(fault).__name__
            if self.mode == "online":
                log.warning("W&B: %s; runs are kept offline under %s/wandb from here", text, self._folder)
                self.mode = "offline"
                return self._guarded(write)
            log.warning("W&B: %s; tracking is off for the rest, records are complete", text)
            self.mode = "disabled"
            return False
        return True

    def _write_run(
        self,
        name: str,
        config: dict[str, Any],
        record: Record,
        curve: list[dict[str, float]],
        traces: dict[str, np.ndarray],
    ) -> None:
        spec = record.spec
        with self._init(name=name, group=spec.suite or "single", job_type=spec.method, config=config) as run:
            run.define_metric("train/*", step_metric="train/steps")
            run.define_metric("day/*", step_metric="day/day")
            for row in curve[:: max(1, len(curve) // 200)]:
                run.log({f"train/{key}": value for key, value in row.items()})
            for row in _days(traces):
                run.log({f"day/{key}": value for key, value in row.items()})
            run.log(sectioned(record))

    def _write_leaderboard(self, suite: str, table: Any, files: list[Path]) -> None:
        import wandb  # late: it takes a second to load

        with self._init(
            name=f"{suite} leaderboard", group=suite, job_type="leaderboard", config={"suite": suite}
        ) as run:
            plain = table.astype(object).where(table.notna(), None)
            run.log({"leaderboard": wandb.Table(columns=list(plain.columns), data=plain.to_numpy().tolist())})
            artifact = wandb.Artifact(f"{suite}-leaderboard", type="leaderboard")
            for file in files:
                artifact.add_file(str(file), name=file.name)
            run.log_artifact(artifact)

    def _write_scale(self, rows: list[dict[str, Any]], files: list[Path]) -> None:
        import wandb  # late: it takes a second to load

        for line in dict.fromkeys(row["line"] for row in rows):
            with self._init(name=line, group="scale", job_type="scale", config={"suite": "scale", "line": line}) as run:
                run.define_metric("scaling/*", step_metric="scaling/n_agents")
                for row in rows:
                    if row["line"] == line:
                        run.log(
                            {f"scaling/{name}": value for name, value in row.items() if name not in ("line", "fresh")}
                        )
        with self._init(name="scale report", group="scale", job_type="leaderboard", config={"suite": "scale"}) as run:
            artifact = wandb.Artifact("scale-report", type="leaderboard")
            for file in files:
                artifact.add_file(str(file), name=file.name)
            run.log_artifact(artifact)

    def _init(self, **what: Any) -> Any:
        import wandb  # late: it takes a second to load

        settings = wandb.Settings(
            silent=True,
            console="off",
            x_disable_stats=True,
            x_disable_meta=True,
            disable_git=True,
            init_timeout=20,
        )
        return wandb.init(project=PROJECT, mode=self.mode, dir=str(self._folder), settings=settings, **what)


def sectioned(record: Record) -> dict[str, Any]:
    """A record's metrics under `feasibility/`, `violation/`, `scaling/` and, the rest, `metrics/`."""
    section_of = OTHERS | {name: entry.section for name, entry in METRICS.items()}
    known = {**record.metrics, "status": record.status}
    return {f"{section_of.get(name, 'metrics')}/{name}": value for name, value in known.items() if value is not None}


def _days(traces: dict[str, np.ndarray]) -> list[dict[str, float]]:
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


def _has_account() -> bool:
    """A key in the environment or in the netrc file; asking W&B itself could prompt or wait for the network."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
