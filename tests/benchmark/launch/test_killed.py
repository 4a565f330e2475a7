"""A training whose process is killed: carried out again, the run is that of an undisturbed one to the last bit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.records import numbers

from accord.baselines.registry import METHODS
from accord.benchmark.launch import launch
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run
from accord.envs.plugins import import_files

SETTINGS = {"copies": 2, "agents": 4, "ppo": {"hidden": [16], "minibatch": 96}}
KILLED = '''
import os, signal
from dataclasses import replace
from pathlib import Path
from accord.baselines.consensus.augmented import Consensus
from accord.baselines.registry import register

class Killed:
    saves = 0
    def __init__(self, inner):
        self.load, self.snapshot, self._save = inner.load, inner.snapshot, inner.save
    def save(self, state):
        self._save(state)
        self.saves += 1
        kill = Path(__file__).with_name("kill")
        if self.saves == 2 and kill.exists():
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

@register("killed", "own observation", rule="gossip")
class KilledConsensus(Consensus):
    """Its process is killed after its second checkpoint, if a file says so."""
    def train(self, task, network, training):
        return super().train(task, network, replace(training, checkpoint=Killed(training.checkpoint)))
'''


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[RunSpec]:
    """A run of a method that is forgotten afterwards."""
    known = dict(METHODS)
    (tmp_path / "kills.py").write_text(KILLED)
    import_files([tmp_path / "kills.py"])
    effort = EffortSpec(steps=5_000, seconds=3_600)
    yield make_run("synthetic_7-week/ring/average-0.4", "killed", 0, settings=SETTINGS, effort=effort)
    METHODS.clear()
    METHODS.update(known)


def test_a_run_whose_process_was_killed_equals_an_undisturbed_one(spec: RunSpec, tmp_path: Path) -> None:
    parted, whole, kill = Store(tmp_path / "parted"), Store(tmp_path / "whole"), tmp_path / "kill"
    kill.touch()
    (lost,) = launch([spec], parted, jobs=1, imports=[tmp_path / "kills.py"]).records
    assert (lost.status, lost.error, kill.exists()) == ("failed", "the process ended with signal 9", False)
    kept = parted.policy(policy_here(resolve_run(spec))).load() or {}
    (again,) = launch([spec], parted, jobs=1, imports=[tmp_path / "kills.py"]).records
    (undisturbed,) = launch([spec], whole, jobs=1, imports=[tmp_path / "kills.py"]).records
    assert again.status == "done"
    assert numbers(again, parted) == numbers(undisturbed, whole)
    curves = [store.policy(again.policy_name).finished() or {} for store in (parted, whole)]
    steps = [[row["steps"] for row in policy["curve"]] for policy in curves]
    assert steps[0] == steps[1] == sorted(set(steps[0]))
    assert 0 < len(kept["curve"]) < len(steps[0])
