"""A cluster of Ray loses a node in the middle of a sweep: every run is done, with the numbers that it has here."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from helpers.records import numbers
from ray.cluster_utils import Cluster

from accord.baselines.registry import METHODS
from accord.benchmark.cli.options import launcher_from
from accord.benchmark.launch import launch
from accord.benchmark.launch.jobs import Row
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import load_suite
from accord.envs.plugins import import_files

NODES = 3
SUITE = f"""
description: Small runs, and a training for each node of a cluster.
seeds: {NODES}
effort: {{steps: 6_000, seconds: 3_600}}
entries:
  - district: synthetic_7-week
    networks: [ring]
    budgets: [average-0.4]
    methods: [waiting, serve_now, random]
    variants: {{"": {{copies: 2, agents: 4, ppo: {{hidden: [16], minibatch: 96}}}}}}
"""
WAITING = '''
import os, time
from dataclasses import replace
from pathlib import Path
from accord.baselines.consensus.augmented import Consensus
from accord.baselines.registry import register

HERE = Path(__file__).parent

class Waiting:
    def __init__(self, inner):
        self.load, self.snapshot, self._save = inner.load, inner.snapshot, inner.save
    def save(self, state):
        self._save(state)
        (HERE / f"{os.getpid()}.waits").touch()
        while not (HERE / "go-on").exists():
            time.sleep(0.02)

@register("waiting", "own observation", rule="gossip")
class WaitingConsensus(Consensus):
    """Waits at its checkpoints until all may go on."""
    def train(self, task, network, training):
        return super().train(task, network, replace(training, checkpoint=Waiting(training.checkpoint)))
'''
# A node that has gone is given up soon, and what runs on one comes no later than what else this machine does.
SETTINGS = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "worker_niceness": 0}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": SETTINGS}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES - 1):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


@pytest.fixture
def specs(tmp_path: Path) -> Iterator[list[RunSpec]]:
    """The runs, one of whose methods is forgotten afterwards."""
    known = dict(METHODS)
    (tmp_path / "waits.py").write_text(WAITING)
    (tmp_path / "sweep.yaml").write_text(SUITE)
    import_files([tmp_path / "waits.py"])
    yield runs_of(load_suite(str(tmp_path / "sweep.yaml")))
    METHODS.clear()
    METHODS.update(known)


class Loses:
    """A listener that takes a node away once every node trains and has kept how far it is.

    Attributes:
        kept: What each training had logged by then, by the name of its policy.
    """

    def __init__(self, cluster: Cluster, folder: Path, store: Store) -> None:
        self._cluster, self._folder, self._store = cluster, folder, store
        self._trained = set[int]()
        self.kept = dict[str, list[Row]]()

    def begin(self, spec: RunSpec) -> None:
        pass

    def end(self, record: Record) -> None:
        pass

    def train(self, spec: RunSpec, row: Row) -> None:
        self._trained.add(spec.seed)
        if self.kept or len(self._trained) < NODES:
            return
        while len(waiting := list(self._folder.glob("*.waits"))) < NODES:
            time.sleep(0.02)
        for path in self._store.root.glob("policies/*/checkpoint.pt"):
            self.kept[path.parent.name] = torch.load(path, weights_only=True)["curve"]
        node = self._cluster.list_all_nodes()[-1]
        (raylet,) = node.all_processes["raylet"]
        trainings = [psutil.Process(int(path.stem)) for path in waiting]
        (lost,) = (one for one in trainings if raylet.process.pid in {above.pid for above in one.parents()})
        self._cluster.remove_node(node, allow_graceful=False)
        lost.wait()  # nothing that it began goes on
        (self._folder / "go-on").touch()


def test_a_sweep_that_loses_a_node_has_the_records_of_one_here(
    cluster: Cluster, specs: list[RunSpec], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there, imports = Store(tmp_path / "here"), Store(tmp_path / "there"), [tmp_path / "waits.py"]
    loses = Loses(cluster, tmp_path, there)
    launcher = launcher_from("ray", cluster.address, None, there.root)
    found = launch(specs, there, launcher=launcher, listener=loses, imports=imports)
    assert len(cluster.list_all_nodes()) == NODES - 1
    assert capsys.readouterr().out == ""  # what Ray says of it is no part of a report
    ours = launch(specs, here, jobs=2, imports=imports)
    assert [record.status for record in ours.records] == ["done"] * len(specs) == ["done"] * 7
    assert [numbers(record, there) for record in found.records] == [numbers(record, here) for record in ours.records]
    # What was trained before the node was lost was not trained again: the same seconds on the clock.
    assert len(loses.kept) == NODES
    for name, rows in loses.kept.items():
        policy = there.policy(name).finished()
        assert policy is not None
        assert 0 < len(rows) < len(policy["curve"])
        assert policy["curve"][: len(rows)] == rows
