"""A small suite that was run and published, and the command line in its folder."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.command_line import call

from accord.benchmark.records.store import Store
from accord.benchmark.report import publish
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.suite import load_suite

SUITE = """
description: Small enough for a test.
smoke: true
seeds: 1
effort: {steps: 5_000, seconds: 3_600}
entries:
  - district: synthetic_7-week
    networks: [ring]
    budgets: [average-0.4]
    methods: [oracle, serve_now, consensus-gossip]
    variants: {"": {copies: 4, agents: 4, ppo: {hidden: [16]}}}
"""
Accord = Callable[..., tuple[int, str, str]]


@pytest.fixture
def accord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], done: Path) -> Accord:
    """Call the command line in this process: exit status, standard output, standard error."""
    monkeypatch.chdir(done)
    monkeypatch.setattr(publish, "is_uncommitted", lambda record: False)  # as in a clean checkout
    monkeypatch.setenv("COLUMNS", "200")
    return partial(call, monkeypatch, capsys)


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small suite was run and published, from a shell."""
    folder = tmp_path_factory.mktemp("accord")
    (folder / "tiny.yaml").write_text(SUITE)
    command = [sys.executable, "-m", "accord"]
    ended = subprocess.run(
        [*command, "run", "tiny.yaml", "--wandb", "offline", "--jobs", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "suite tiny: 3 runs under runs/, W&B offline" in ended.stderr
    assert "3 of 3 runs done, 3 carried out now" in ended.stderr
    assert "## synthetic_7-week/ring/average-0.4" in ended.stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(publish, "is_uncommitted", lambda record: False)
        publish.publish_runs(load_suite("tiny.yaml"), Overrides(), Store(), Path("results"), typed="tiny.yaml")
    return folder
