"""A run is looked up once and its leaderboard worked out once, however many parts ask for them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accord.benchmark.cli import carrying_out
from accord.benchmark.cli import runs as commands
from accord.benchmark.launch import runner, start
from accord.benchmark.launch.local import Here
from accord.benchmark.launch.runner import run
from accord.benchmark.report import report
from accord.benchmark.specs import resolved
from accord.benchmark.specs import run as spec_module
from accord.envs.scenario import Scenario

ADDRESS = "synthetic_7-week/ring/average-0.4"
SMALL: dict[str, object] = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often addresses were looked up, runs named by what they are trained on, and leaderboards worked out."""
    calls = Counter[str]()

    def count(place: Any, name: str, label: str) -> None:
        inner: Callable[..., Any] = getattr(place, name)

        def counting(*args: Any, **named: Any) -> Any:
            calls[label] += 1
            return inner(*args, **named)

        monkeypatch.setattr(place, name, counting)

    for place in (resolved, runner, spec_module):
        count(place, "resolve", "resolve")
    count(resolved, "training_digest", "training digest")
    count(report, "leaderboard", "leaderboard")
    return calls


def test_a_run_is_resolved_once(counted: Counter[str], tmp_path: Path) -> None:
    record = run(ADDRESS, "consensus-gossip", settings=SMALL, steps=200, root=tmp_path)
    assert record.status == "done"
    assert counted == {"resolve": 1, "training digest": 1}


def test_a_launch_resolves_a_run_once_and_so_does_each_of_its_jobs(counted: Counter[str], tmp_path: Path) -> None:
    effort = spec_module.EffortSpec(steps=200, seconds=3_600)
    specs = [spec_module.make_run(ADDRESS, "consensus-gossip", s, settings=SMALL, effort=effort) for s in (0, 1)]
    counted.clear()
    outcome = start.launch(specs, runner.Store(tmp_path), launcher=Here())
    assert [record.status for record in outcome.records] == ["done", "done"]
    # Two runs, a job of the linear programme, two trainings, and two runs: each has the data of its spec alone.
    assert counted["training digest"] == counted["resolve"] == 2 + 1 + 2 + 2


def test_without_a_limit_a_training_goes_to_its_end_on_any_machine(tmp_path: Path) -> None:
    effort = spec_module.EffortSpec(steps=400, seconds=1e-6)
    spec = spec_module.make_run(ADDRESS, "consensus-gossip", 0, settings=SMALL, effort=effort)
    (hurried,) = start.launch([spec], runner.Store(tmp_path / "a"), launcher=Here()).records
    assert hurried.status == "out of time"
    (patient,) = start.launch([spec], runner.Store(tmp_path / "b"), launcher=Here(), unlimited=True).records
    assert (patient.status, patient.spec.digest) == ("done", hurried.spec.digest)


def test_a_command_works_the_leaderboard_out_once(
    counted: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tmp_path / "tiny.yaml"
    suite.write_text(
        "description: tiny\nseeds: 1\neffort: {steps: 200}\nentries:\n"
        f"  - {{scenarios: [{ADDRESS}], methods: [serve_now, random]}}\n"
    )
    monkeypatch.setattr(carrying_out, "launch", lambda *args, **named: start.launch(args[0], args[1], launcher=Here()))
    commands.run(str(suite), wandb="disabled", root=tmp_path / "runs")
    assert counted["leaderboard"] == 1


def test_every_scenario_says_what_the_harness_asks_of_it() -> None:
    """No part of the harness tells scenarios apart by their class."""
    root = Path(__file__).parents[3]
    asked = [
        f"{path.relative_to(root)}: {line.strip()}"
        for package in ("baselines", "benchmark")
        for path in (root / package).rglob("*.py")
        for line in path.read_text().splitlines()
        if "isinstance(" in line and any(kind.__name__ in line for kind in kinds_of(Scenario))
    ]
    assert asked == []


def kinds_of(kind: type) -> list[type]:
    return [kind, *(other for child in kind.__subclasses__() for other in kinds_of(child))]
