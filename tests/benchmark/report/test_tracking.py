"""Offline files are read with W&B's own protocol buffers; their frame is LevelDB's log format."""

import json
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from accord.benchmark.launch.runner import run
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.tracking import Tracker, tracking_mode
from accord.envs.errors import UsageError

BLOCK = 32768
HEADER = 7  # bytes, of the file and of each chunk
FULL, LAST = 1, 4
SETTINGS = {"copies": 4, "agents": 4, "ppo": {"hidden": [16]}}


@dataclass
class OfflineRun:
    name: str = ""
    group: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, list[str]] = field(default_factory=dict)

    @property
    def last(self) -> dict[str, Any]:
        return {name: value for row in self.history for name, value in row.items()}


def offline_runs(folder: Path) -> list[OfflineRun]:
    wandb.teardown()  # a run's end does not wait for the last of its file, the end of W&B's service does
    files = sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns)
    return [read(path) for path in files]


def read(path: Path) -> OfflineRun:
    found = OfflineRun()
    for content in chunks(path.read_bytes()):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.name, found.group = record.run.display_name, record.run.run_group
            found.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            items = record.history.item
            found.history.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
        elif kind == "artifact":
            found.artifacts[record.artifact.name] = [file.path for file in record.artifact.manifest.contents]
    return found


def chunks(content: bytes) -> Iterator[bytes]:
    assert content.startswith(b":W&B")
    at, whole = HEADER, b""
    while at + HEADER <= len(content):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + HEADER])
        whole += content[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (FULL, LAST):
            yield whole
            whole = b""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Store]:
    root = tmp_path_factory.mktemp("runs")
    record = run("paper_seven/ring/average-0.3", "consensus-gossip", settings=SETTINGS, steps=5000, root=root)
    return record, Store(root)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")


def test_an_offline_file_holds_config_curve_and_every_metric(recorded: tuple[Record, Store], tmp_path: Path) -> None:
    record, store = recorded
    policy = store.policy(record.policy_name).finished()
    assert policy is not None
    assert Tracker("offline", tmp_path).log_run(record, policy["curve"], store.traces(record.spec))
    (found,) = offline_runs(tmp_path)
    assert found.name == "paper_seven/ring/average-0.3 consensus-gossip seed 0"
    assert found.group == "single"
    spec = json.loads(record.spec.model_dump_json())
    assert {key: found.config[key] for key in spec} == spec
    assert found.config["provenance"]["data_digest"] == record.provenance.data_digest
    assert found.config["status"] == "done"
    last = found.last
    assert last["feasibility/feasible"] == record.metrics["feasible"]
    assert last["violation/violation"] == record.metrics["violation"]
    assert last["scaling/train_steps"] == record.metrics["train_steps"]
    logged = {name.split("/")[-1] for name in last}
    assert {name for name, value in record.metrics.items() if value is not None} <= logged
    steps = [row["train/steps"] for row in found.history if "train/steps" in row]
    assert steps == [row["steps"] for row in policy["curve"]]
    assert sum("day/waiting_load" in row for row in found.history) == 2928 // 24


def test_every_line_of_scale_is_a_run_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("line,n_agents\n")
    rows = [
        {"line": line, "n_agents": n, "fresh": True, "status": "done", "step_microseconds": cost / n}
        for line, cost in (("gossip", 1.0), ("rule", 2.0))
        for n in (4, 8)
    ]
    assert Tracker("offline", tmp_path).log_scale(rows, [file])
    gossip, rule, report = offline_runs(tmp_path)
    assert [run.name for run in (gossip, rule, report)] == ["gossip", "rule", "scale report"]
    assert {run.group for run in (gossip, rule, report)} == {"scale"}
    assert [row["scaling/n_agents"] for row in rule.history] == [4, 8]
    assert [row["scaling/step_microseconds"] for row in rule.history] == [0.5, 0.25]
    assert not any("fresh" in name or "line" in name for row in rule.history for name in row)
    assert report.artifacts == {"scale-report": ["cells.csv"]}


def test_a_leaderboard_is_a_table_and_an_artifact(tmp_path: Path) -> None:
    file = tmp_path / "leaderboard.csv"
    file.write_text("method,cost\nserve_now,1.5\n")
    table = pd.DataFrame({"method": ["serve_now", "oracle"], "cost": [1.5, float("nan")]})
    assert Tracker("offline", tmp_path).log_leaderboard("mine", table, [file])
    (found,) = offline_runs(tmp_path)
    assert (found.name, found.group) == ("mine leaderboard", "mine")
    assert found.artifacts["mine-leaderboard"] == ["leaderboard.csv"]
    assert found.last["leaderboard/_type"] == "table-file"
    (content,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")
    assert json.loads(content.read_text())["data"] == [["serve_now", 1.5], ["oracle", None]]


def test_the_command_line_outranks_the_environment_and_offline_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tracking_mode(None) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking_mode(None) == "disabled"
    assert tracking_mode("online") == "online"


@pytest.mark.parametrize(("flag", "environment", "source"), [("on", "", "--wandb"), (None, "dryrun", "WANDB_MODE")])
def test_an_unknown_mode_is_an_error_that_says_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, flag: str | None, environment: str, source: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", environment)
    with pytest.raises(UsageError, match=f"{source}: unknown mode .* allowed: online, offline, disabled"):
        tracking_mode(flag)


def test_online_without_a_key_warns_once_and_goes_on_offline(
    recorded: tuple[Record, Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "accord"):
        tracker = Tracker("online", tmp_path)
        assert tracker.mode == "offline"
        assert tracker.log_run(recorded[0], [], {})
        assert tracker.log_run(recorded[0], [], {})
    assert len(caplog.messages) == 1
    assert "no API key" in caplog.messages[0]
    assert len(offline_runs(tmp_path)) == 2


def test_disabled_writes_nothing(recorded: tuple[Record, Store], tmp_path: Path) -> None:
    folder = tmp_path / "untouched"
    assert not Tracker("disabled", folder).log_run(recorded[0], [], {})
    assert not folder.exists()


def test_a_failure_is_told_once_and_stops_no_one(
    recorded: tuple[Record, Store], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "accord"):
        tracker = Tracker("offline", tmp_path / "file")
        assert not tracker.log_run(recorded[0], [], {})
        assert not tracker.log_run(recorded[0], [], {})
    assert len(caplog.messages) == 1
    assert tracker.mode == "disabled"


def test_a_new_record_forgets_that_the_old_one_was_tracked(recorded: tuple[Record, Store], tmp_path: Path) -> None:
    record, store = recorded[0], Store(tmp_path)
    store.save(record, {})
    assert not store.tracked(record.spec)
    store.mark_tracked(record.spec)
    assert store.tracked(record.spec)
    assert store.records() == [record]
    store.save(record, {})
    assert not store.tracked(record.spec)
