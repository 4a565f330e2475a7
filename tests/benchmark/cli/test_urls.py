"""Commands on a store behind a URL: as on a folder; where only a path is meant, a URL is refused in one line."""

import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.command_line import call

from accord.benchmark.places import place_from
from accord.benchmark.records.store import Store
from accord.benchmark.report import publish

SUITE = """
description: Small enough for a test.
seeds: 1
effort: {steps: 200, seconds: 3_600}
entries:
  - scenarios: [synthetic_7-week/ring/average-0.4]
    methods: [serve_now, consensus-gossip]
    variants: {"": {copies: 2, agents: 2, ppo: {hidden: [8], minibatch: 96, epochs: 1}}}
"""
Accord = Callable[..., tuple[int, str, str]]


@pytest.fixture
def accord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Accord:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(publish, "is_uncommitted", lambda record: False)  # as in a clean checkout
    return partial(call, monkeypatch, capsys)


def test_a_store_in_memory_is_run_reported_published_and_kept(accord: Accord, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SUITE)
    url = f"memory://{uuid.uuid4().hex}/runs"
    root, beside = ("--root", url), f"runs/{url.replace('://', '/')}"
    status, _, told = accord("run", "tiny.yaml", *root, "--wandb", "offline")
    assert status == 0, told
    assert f"suite tiny: 2 runs under {url}/, W&B offline" in told
    assert f"2 of 2 runs done, 2 carried out now; report in {beside}/reports/tiny/" in told
    assert len(list((tmp_path / beside / "wandb").glob("offline-run-*"))) == 3
    assert "2 of 2 runs done, 0 carried out now" in accord("run", "tiny.yaml", *root, "--wandb", "disabled")[2]
    assert accord("run", "tiny.yaml", *root, "--dry-run")[1].endswith("nothing is left to do.\n")
    (tmp_path / "tiny.yaml").unlink()  # from here on the store's own
    for command in ("report", "publish"):
        status, said, told = accord(command, "tiny", *root)
        assert (status, said.count("consensus-gossip") > 0 or said.startswith("2 runs published")) == (0, True), told
    assert (tmp_path / "results" / "tiny" / "runs.parquet").exists()
    assert f"Small enough for a test. (run under {url}/)" in accord("suites", *root)[1]
    store = Store(place_from(url))
    for record in store.records("tiny"):
        assert accord("show", record.spec.digest, *root)[0] == 0
    assert accord("buildings", "tiny", *root)[0] == 0
    assert accord("store", "check", *root) == (0, f"nothing is damaged under {url}/ and results/\n", "")
    assert accord("store", "gc", *root) == (0, f"0 removed under {url}/\n", "")
    assert accord("store", "export", "runs.tar", *root)[1] == "2 runs in runs.tar\n"
    assert accord("store", "import", "runs.tar", "--root", "file://copy")[0] == 0
    assert Store(tmp_path / "copy").records() == store.records()
    assert not [file for file in tmp_path.rglob("*") if "memory:" in str(file)]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("run", "quick", "--results", "s3://b/x"), "--results: 's3://b/x' is a URL; allowed: a path on this machine"),
        (("store", "export", "s3://b/x.tar"), "ARCHIVE: 's3://b/x.tar' is a URL; allowed: a path on this machine"),
        (("buildings", "quick", "--figure", "s3://b/x"), "--figure: 's3://b/x' is a URL; allowed: a path on this"),
        (("film", "random", "x", "--to", "s3://b/x.gif"), "--to: 's3://b/x.gif' is a URL; allowed: a path on this"),
        (("run", "quick", "--root", "nothing://x"), "--root 'nothing://x': Protocol not known: nothing; allowed: a "),
        (("reproduce", "quick", "--root", "nothing://x"), "--root 'nothing://x': Protocol not known: nothing; allowed"),
        (
            ("run", "quick", "--root", "memory://x", "--launcher", "ray"),
            "--root 'memory://x': no other process sees it; allowed with it: --launcher local",
        ),
    ],
)
def test_a_url_that_cannot_be_is_refused_in_one_line(accord: Accord, words: tuple[str, ...], line: str) -> None:
    status, said, told = accord(*words)
    assert (status, said, told.count("\n")) == (2, "", 1)
    assert told.startswith(f"error: {line}")
