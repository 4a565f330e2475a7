"""Offline files are read with W&B's own protocol buffers; their frame is LevelDB's log format."""

import json
import logging
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import wandb
from PIL import Image
from wandb.proto import wandb_internal_pb2

from accord.baselines.registry import METHODS
from accord.benchmark.launch import launch
from accord.benchmark.launch.jobs import Row
from accord.benchmark.launch.local import Here
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.tracking import Tracker
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run

BLOCK = 32768
HEADER = 7  # bytes, of the file and of each chunk
FULL, LAST = 1, 4
SETTINGS = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}
# What a sweep's agent and a user's shell may hold, and what would make one W&B run of all.
OF_ONE_RUN = {
    "WANDB_RUN_ID": "abc12345",
    "WANDB_SWEEP_ID": "sweep",
    "WANDB_NAME": "mine",
    "WANDB_RUN_GROUP": "others",
    "WANDB_TAGS": "one,two",
    "WANDB_RESUME": "must",
}


@dataclass
class OfflineRun:
    id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    exit_code: int | None = None
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
            found.id, found.name, found.project = record.run.run_id, record.run.display_name, record.run.project
            found.group, found.tags = record.run.run_group, list(record.run.tags)
            found.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "config":
            found.config |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "exit":
            found.exit_code = record.exit.exit_code
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


def without_wandb_words(patch: pytest.MonkeyPatch, home: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")] + ["NETRC"]:
        patch.delenv(name, raising=False)
    patch.setenv("HOME", str(home))
    patch.setenv("WANDB_SILENT", "true")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_wandb_words(monkeypatch, tmp_path)


class Watched(Tracker):
    """Notes which W&B runs are there whenever a training says how far it is."""

    def __init__(self, store: Store) -> None:
        super().__init__("offline", store)
        self.root, self.seen = store.root, list[list[str]]()

    def train(self, spec: RunSpec, row: Row) -> None:
        super().train(spec, row)
        self.seen.append([path.name.split("-")[-1] for path in self.root.glob("wandb/offline-run-*")])


@dataclass
class Shown:
    """A suite of two runs that share a training, tracked while it was run."""

    store: Store
    records: list[Record]
    seen: list[list[str]]
    runs: list[OfflineRun]
    environment: dict[str, str]

    @property
    def curve(self) -> list[dict[str, float]]:
        policy = self.store.policy(self.records[0].policy_name).finished()
        assert policy is not None
        return policy["curve"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    root = tmp_path_factory.mktemp("runs")
    effort = EffortSpec(steps=2_000, seconds=3_600, snapshots=2)
    specs = [
        make_run(
            f"synthetic_7-week/{network}/average-0.4",
            "consensus-gossip",
            0,
            suite="tiny",
            settings=SETTINGS,
            effort=effort,
        )
        for network in ("ring", "star")
    ]
    with pytest.MonkeyPatch.context() as patch:
        without_wandb_words(patch, root)
        for name, value in OF_ONE_RUN.items():
            patch.setenv(name, value)
        with Watched(Store(root)) as tracker:
            outcome = launch(specs, Store(root), launcher=Here(), listener=tracker)
        left = {name: os.environ.get(name, "") for name in OF_ONE_RUN}
        return Shown(Store(root), outcome.records, tracker.seen, offline_runs(root), left)


def test_every_run_has_an_id_of_its_own_whatever_the_environment_says(shown: Shown) -> None:
    assert [run.id for run in shown.runs] == [record.spec.digest for record in shown.records]
    assert [run.name for run in shown.runs] == [
        f"synthetic_7-week/{network}/average-0.4 consensus-gossip seed 0" for network in ("ring", "star")
    ]
    assert shown.environment == OF_ONE_RUN


def test_runs_are_grouped_by_method_in_a_project_of_their_suite(shown: Shown) -> None:
    for run in shown.runs:
        assert (run.project, run.group) == ("accord-tiny", "consensus-gossip")
        assert sorted(run.tags) == ["consensus", "synthetic_7-week", "tiny"]
        assert run.exit_code == 0


def test_a_run_is_there_while_it_trains_and_one_that_shares_its_training_has_all_of_it(shown: Shown) -> None:
    first, second = shown.records
    assert len(shown.seen) == len(shown.curve)
    assert all(ids == [first.spec.digest] for ids in shown.seen)
    assert second.policy == first.policy
    for run in shown.runs:
        steps = [row["train/steps"] for row in run.history if "train/steps" in row]
        assert steps == [row["steps"] for row in shown.curve]


def test_an_offline_file_holds_the_learning_curve_and_every_metric(shown: Shown) -> None:
    for record, run in zip(shown.records, shown.runs, strict=True):
        traces, last = shown.store.traces(record.spec), run.last
        curve = [row for row in run.history if "validation/steps" in row]
        for name in ("steps", "gap", "violation"):
            assert [row[f"validation/{name}"] for row in curve] == traces[f"curve_{name}"].tolist()
        assert last["feasibility/feasible"] == record.metrics["feasible"]
        assert last["violation/violation"] == record.metrics["violation"]
        assert last["scaling/train_steps"] == record.metrics["train_steps"]
        logged = {name.split("/")[-1] for name in last}
        assert {name for name, value in record.metrics.items() if value is not None} <= logged
        days = len(traces["district_import_kwh"]) // 24
        assert [row["day/day"] for row in run.history if "day/day" in row] == list(range(days))


def test_a_config_has_the_settings_by_their_names_beside_the_words_of_the_spec(shown: Shown) -> None:
    for record, run in zip(shown.records, shown.runs, strict=True):
        words = json.loads(record.spec.model_dump_json())
        for known in (words.pop("config"), words):
            assert {key: run.config[key] for key in known} == known
        assert run.config["ppo"]["hidden"] == [8]
        assert run.config["provenance"]["data_digest"] == record.provenance.data_digest
        assert run.config["status"] == "done"


@pytest.mark.parametrize("method", METHODS)
def test_no_setting_has_the_name_of_a_word_of_the_spec(method: str) -> None:
    settings = METHODS[method].method.config_type.model_fields
    assert not settings.keys() & {*RunSpec.model_fields, "provenance", "status"}


def test_a_policy_is_an_artifact(shown: Shown) -> None:
    for record, run in zip(shown.records, shown.runs, strict=True):
        assert run.artifacts == {f"policy-{record.policy_name}": ["policy.pt"]}


def test_a_run_that_was_tracked_is_not_tracked_again(shown: Shown, tmp_path: Path) -> None:
    root = shutil.copytree(shown.store.root, tmp_path / "runs", ignore=shutil.ignore_patterns("wandb"))
    store = Store(root)
    Tracker("offline", store).catch_up(shown.records)
    assert not offline_runs(root)
    (store.folder(shown.records[1].spec) / "tracked").unlink()
    Tracker("offline", store).catch_up(shown.records)
    (run,) = offline_runs(root)
    assert run.id == shown.records[1].spec.digest
    assert [row["train/steps"] for row in run.history if "train/steps" in row] == [row["steps"] for row in shown.curve]


def test_a_run_that_is_interrupted_is_closed(shown: Shown, tmp_path: Path) -> None:
    with Tracker("offline", Store(tmp_path)) as tracker:
        tracker.begin(shown.records[0].spec)
        tracker.train(shown.records[0].spec, shown.curve[0])
    (run,) = offline_runs(tmp_path)
    assert run.exit_code == 1
    assert run.last["train/steps"] == shown.curve[0]["steps"]


def test_a_run_that_began_here_and_ended_elsewhere_is_whole(shown: Shown, tmp_path: Path) -> None:
    root = shutil.copytree(shown.store.root, tmp_path / "runs", ignore=shutil.ignore_patterns("wandb"))
    with Tracker("offline", Store(root)) as tracker:
        tracker.begin(shown.records[0].spec)
        tracker.catch_up(shown.records)  # which the launch that carried it out has tracked
    assert [(run.exit_code, run.id) for run in offline_runs(root)] == [(0, shown.records[0].spec.digest)]


def test_every_line_of_scale_is_a_run_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    file.write_text("line,n_agents\n")
    rows = [
        {"line": line, "n_agents": n, "fresh": True, "status": "done", "step_microseconds": cost / n}
        for line, cost in (("gossip", 1.0), ("rule", 2.0))
        for n in (4, 8)
    ]
    assert Tracker("offline", Store(tmp_path)).log_scale(rows, [file])
    gossip, rule, report = offline_runs(tmp_path)
    assert [run.name for run in (gossip, rule, report)] == ["gossip", "rule", "scale report"]
    assert len({run.id for run in (gossip, rule, report)}) == 3
    assert {run.project for run in (gossip, rule, report)} == {"accord-scale"}
    assert [row["scaling/n_agents"] for row in rule.history] == [4, 8]
    assert [row["scaling/step_microseconds"] for row in rule.history] == [0.5, 0.25]
    assert not any("fresh" in name or "line" in name for row in rule.history for name in row)
    assert report.artifacts == {"scale-report": ["cells.csv"]}


def test_a_leaderboard_is_a_table_images_and_an_artifact_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "ours")
    files = [tmp_path / "leaderboard.csv", tmp_path / "gap.png"]
    files[0].write_text("method,cost\nserve_now,1.5\n")
    Image.new("RGB", (2, 2)).save(files[1])
    table = pd.DataFrame({"method": ["serve_now", "oracle"], "cost": [1.5, float("nan")]})
    assert Tracker("offline", Store(tmp_path)).log_leaderboard("my été", table, files)
    assert not Tracker("offline", Store(tmp_path)).log_leaderboard("my été", table, files)
    (found,) = offline_runs(tmp_path)
    assert (found.name, found.project, found.tags) == ("my été leaderboard", "ours", ["my été"])
    assert found.artifacts["my__t_-leaderboard"] == ["gap.png", "leaderboard.csv"]
    assert found.last["leaderboard/_type"] == "table-file"
    assert found.last["figures/gap/_type"] == "image-file"
    (content,) = tmp_path.glob("wandb/offline-run-*/files/media/table/*.json")
    assert json.loads(content.read_text())["data"] == [["serve_now", 1.5], ["oracle", None]]
    assert Tracker("offline", Store(tmp_path)).log_leaderboard("my été", table.assign(cost=1.0), files)
    assert len({run.id for run in offline_runs(tmp_path)}) == 2


def test_disabled_neither_writes_nor_imports_anything_of_wandb(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import raises
    record, folder = shown.records[0], tmp_path / "untouched"
    with caplog.at_level(logging.WARNING, "accord"), Tracker("disabled", Store(folder)) as tracker:
        tracker.begin(record.spec)
        tracker.train(record.spec, shown.curve[0])
        tracker.end(record)
        assert not tracker.log_leaderboard("mine", pd.DataFrame(), [])
        assert not tracker.log_scale([], [])
    assert not caplog.messages
    assert not folder.exists()


def test_a_failure_is_told_once_and_stops_no_one(
    shown: Shown, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "accord"), Tracker("offline", Store(tmp_path / "file")) as tracker:
        for record in shown.records:
            tracker.begin(record.spec)
            tracker.end(record)
    assert len(caplog.messages) == 1
    assert tracker.mode == "disabled"


def test_a_failure_online_shows_the_run_offline(
    shown: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = shutil.copytree(shown.store.root, tmp_path / "runs", ignore=shutil.ignore_patterns("wandb"))
    monkeypatch.setenv("WANDB_API_KEY", "too short")
    with caplog.at_level(logging.WARNING, "accord"), Tracker("online", Store(root)) as tracker:
        for record in shown.records:
            tracker.end(record)
    (said,) = [record.getMessage() for record in caplog.records if record.name == "accord"]
    assert "API key" in said
    assert "runs are kept offline" in said
    assert [run.id for run in offline_runs(root)] == [record.spec.digest for record in shown.records]


def test_a_new_record_forgets_that_the_old_one_was_tracked(shown: Shown, tmp_path: Path) -> None:
    record, store = shown.records[0], Store(tmp_path)
    store.save(record, {})
    assert not store.tracked(record.spec)
    store.mark_tracked(record.spec)
    assert store.tracked(record.spec)
    assert store.records() == [record]
    store.save(record.model_copy(update={"identity": None}), {})
    assert not store.tracked(record.spec)
