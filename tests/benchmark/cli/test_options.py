"""What is typed in options: lists of seeds, and the mode of W&B."""

import logging
from pathlib import Path

import pytest
import torch

from accord.benchmark.cli.options import device_from, numbers_of, tracking_mode
from accord.benchmark.specs.limits import MOST
from accord.envs.errors import UsageError

ROOT = Path("runs")


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No account at W&B."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_command_line_outranks_the_environment_and_offline_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tracking_mode(None, ROOT) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert tracking_mode(None, ROOT) == "disabled"
    assert tracking_mode("offline", ROOT) == "offline"


@pytest.mark.parametrize(("flag", "environment", "source"), [("on", "", "--wandb"), (None, "dryrun", "WANDB_MODE")])
def test_an_unknown_mode_is_an_error_that_says_where_it_came_from(
    monkeypatch: pytest.MonkeyPatch, flag: str | None, environment: str, source: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", environment)
    with pytest.raises(UsageError, match=f"{source}: unknown mode .* allowed: online, offline, disabled"):
        tracking_mode(flag, ROOT)


def test_online_needs_a_key_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "accord"):
        assert tracking_mode("online", ROOT) == "offline"
    assert "no API key on this machine, so runs are kept offline under runs/wandb" in caplog.text
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert tracking_mode("online", ROOT) == "online"


def test_seeds_are_those_that_tables_hold() -> None:
    assert numbers_of(f"0, 3,{MOST}") == [0, 3, MOST]
    with pytest.raises(UsageError, match=f"--seed-list: '{MOST + 1}' is not a seed; allowed: .* to {MOST}"):
        numbers_of(f"0,{MOST + 1}")


def test_a_device_is_here_or_where_runs_are_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_from("cpu") == "cpu"
    assert device_from("cuda", "ray") == device_from("cuda", "slurm") == "cuda"
    with pytest.raises(UsageError, match=r"--device: 'cuda:1' is not here; allowed with slurm: cpu, cuda$"):
        device_from("cuda:1", "slurm")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_from("cuda") == device_from("cuda:1") == "cuda"
    with pytest.raises(UsageError, match=r"'cuda:2' is not here; allowed on this machine: cpu, cuda, cuda:0, cuda:1$"):
        device_from("cuda:2")
