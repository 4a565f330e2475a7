import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from accord.benchmark.launch import launch, local, start
from accord.benchmark.launch import shown as showing
from accord.benchmark.launch.jobs import TRAINING, Ended, Job, Row, State, Tell
from accord.benchmark.launch.local import GLANCE, Here, LocalLauncher
from accord.benchmark.records.record import Record, load_record
from accord.benchmark.records.store import Store
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import load_suite
from accord.envs.errors import UsageError

SOURCES = str(Path(__file__).parents[3] / "src")
ACCORD = [sys.executable, "-m", "accord"]
LONG = """
description: Long enough to be stopped in the middle of its training.
seeds: 1
effort: {steps: 15_000, seconds: 3_600}
entries:
  - district: synthetic_7-week
    networks: [ring]
    budgets: [average-0.4]
    methods: [waiting, serve_now]
    variants: {"": {copies: 2, agents: 4, ppo: {hidden: [16], minibatch: 96}}}
"""
WAITING = '''
import os, signal
from dataclasses import replace
from pathlib import Path
from accord.baselines.consensus.augmented import Consensus
from accord.baselines.registry import register

class Waiting:
    def __init__(self, inner):
        self.load, self.snapshot, self._save = inner.load, inner.snapshot, inner.save
    def save(self, state):
        self._save(state)
        if not Path(os.environ["GO_ON"]).exists():
            signal.pause()

@register("waiting", "own observation", rule="gossip")
class WaitingConsensus(Consensus):
    """Waits at its first checkpoint."""
    def train(self, task, network, training):
        return super().train(task, network, replace(training, checkpoint=Waiting(training.checkpoint)))
'''
PLUGIN = '''
import os, signal
from accord.baselines.control.fixed import ServeNow
from accord.baselines.registry import register

@register("broken", "nothing")
class Broken(ServeNow):
    """Raises in training."""
    learns = True
    def train(self, *args):
        raise ValueError("this cannot be learned")

@register("killed", "nothing")
class Killed(ServeNow):
    """Is killed in training."""
    learns = True
    def train(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)

@register("killed_late", "nothing")
class KilledLate(ServeNow):
    """Is killed in its run."""
    def train(self, *args):
        os.kill(os.getpid(), signal.SIGKILL)
'''
FRAGILE = """
description: Methods that fail, and one that does not.
seeds: 1
effort: {steps: 100, seconds: 10}
entries:
  - district: synthetic_7-week
    networks: [ring]
    budgets: [average-0.4]
    methods: [broken, killed, killed_late, serve_now]
"""


def environment(*paths: Path) -> dict[str, str]:
    usual = {**os.environ, "WANDB_MODE": "disabled", "COLUMNS": "200"}
    return usual | {"PYTHONPATH": os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])}


def outside_package(folder: Path, name: str, source: str) -> None:
    """An installed package of one module, whose entry point names it."""
    (folder / f"{name}.py").write_text(source)
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[accord.methods]\n{name} = {name}\n")


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], dict[str, Record]]:
    """A suite whose methods come from an outside package, run from the command line."""
    folder = tmp_path_factory.mktemp("fragile")
    outside_package(folder, "fragile_methods", PLUGIN)
    (folder / "fragile.yaml").write_text(FRAGILE)
    ended = subprocess.run(
        [*ACCORD, "run", "fragile.yaml", "--root", "runs", "--jobs", "2"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    # Records are read in plain form: the outside methods are not known here.
    files = (folder / "runs" / "records").glob("*/record.json")
    records = [load_record(file) for file in files]
    return ended, {record.spec.method: record for record in records}


def test_a_method_that_raises_is_a_failed_row_and_the_rest_goes_on(
    fragile: tuple[subprocess.CompletedProcess[str], dict[str, Record]],
) -> None:
    ended, records = fragile
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert records["serve_now"].status == "done"
    assert records["broken"].status == "failed"
    assert records["broken"].error == "ValueError: this cannot be learned (fragile_methods.py:11)"
    assert "failed: synthetic_7-week/ring/average-0.4 broken seed 0: ValueError" in ended.stderr
    assert "1 of 4 runs done" in ended.stderr


@pytest.mark.parametrize("method", ["killed", "killed_late"])
def test_a_killed_process_is_a_failed_row(
    fragile: tuple[subprocess.CompletedProcess[str], dict[str, Record]], method: str
) -> None:
    record = fragile[1][method]
    assert record.status == "failed"
    assert record.error == "the process ended with signal 9"
    assert record.metrics == {"n_agents": 7}


def test_trainings_say_what_their_optimiser_loads(tmp_path: Path) -> None:
    used = "import sys, torch; torch.optim.Adam([torch.zeros(1, requires_grad=True)]); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", used], capture_output=True, text=True, check=True).stdout.split()
    assert set(TRAINING) <= set(loaded)
    spec = next(run for run in runs_of(load_suite("quick")) if run.method == "consensus-gossip")
    jobs = start._plan(start._missing([spec], {spec.digest: None}), Store(tmp_path), False, ())
    assert [job.loads for job in jobs if job.title.startswith("train ")] == [TRAINING]
    assert {job.loads for job in jobs if not job.title.startswith("train ")} == {()}


def test_a_suite_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    """Its training waits at the first checkpoint until it is stopped, and does not wait again."""
    outside_package(tmp_path, "waiting_methods", WAITING)
    suite, go_on = tmp_path / "long.yaml", tmp_path / "go-on"
    suite.write_text(LONG)
    command = [*ACCORD, "run", str(suite), "--root", str(tmp_path / "runs"), "--jobs", "2"]
    usual = environment(tmp_path) | {"GO_ON": str(go_on)}
    process = subprocess.Popen(
        command, env=usual, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    records = tmp_path / "runs" / "records"
    while not (list(tmp_path.glob("runs/policies/*/checkpoint.pt")) and list(records.glob("[!.]*/record.json"))):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does: every process of the group hears it
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "the same command goes on from here" in said
    (finished,) = records.glob("[!.]*/record.json")
    finished_before = finished.stat().st_mtime_ns
    (checkpoint,) = tmp_path.glob("runs/policies/*/checkpoint.pt")
    kept = torch.load(checkpoint, weights_only=True)["curve"]
    assert kept

    go_on.touch()
    again = subprocess.run(command, env=usual, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "2 of 2 runs done, 1 carried out now" in again.stderr
    assert finished.stat().st_mtime_ns == finished_before
    (policy,) = tmp_path.glob("runs/policies/*/policy.pt")
    trained = torch.load(policy, weights_only=True)
    assert trained["finished"]
    # The same seconds on the clock: this part was not trained again.
    assert trained["curve"][: len(kept)] == kept
    steps = [row["steps"] for row in trained["curve"]]
    assert steps == sorted(set(steps))


class Told:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def begin(self, spec: RunSpec) -> None:
        self.heard.append(spec)

    def train(self, spec: RunSpec, row: Row) -> None:
        self.heard.append(row)

    def end(self, record: Record) -> None:
        self.heard.append(record)


class Planned:
    """A launcher that only looks at the jobs."""

    titles: tuple[str, ...] = ()

    def work(self, jobs: Sequence[Job], on_end: object, on_start: object = None, on_row: object = None) -> None:
        self.titles = tuple(job.title for job in jobs)


def test_a_run_comes_right_after_its_training_and_what_is_not_trained_comes_last(tmp_path: Path) -> None:
    suite = tmp_path / "long.yaml"
    suite.write_text(LONG.replace("waiting, serve_now", "serve_now, consensus-gossip"))
    planned = Planned()
    launch(runs_of(load_suite(str(suite)), Overrides(seeds=2)), Store(tmp_path), launcher=planned)
    run = "synthetic_7-week/ring/average-0.4 consensus-gossip seed"
    assert [title for title in planned.titles if not title.startswith("linear programme")] == [
        *("train consensus-gossip seed 0", f"{run} 0", "train consensus-gossip seed 1", f"{run} 1"),
        "synthetic_7-week/ring/average-0.4 serve_now seed 0",
    ]


def test_logs_without_a_terminal_get_a_plain_line_with_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(showing, "PLAIN_LINE", 0.0)
    suite = tmp_path / "long.yaml"
    suite.write_text(LONG.replace("waiting", "consensus-gossip"))
    specs = runs_of(load_suite(str(suite)), Overrides(steps=4000))[:1]
    said = io.StringIO()
    told = Told()
    outcome = launch(specs, Store(tmp_path), jobs=1, console=Console(file=said), listener=told)
    assert outcome.fresh == 1
    assert not outcome.failed
    first, *rows, last = told.heard
    assert first == specs[0]
    assert last == outcome.records[0]
    policy = Store(tmp_path).policy(outcome.records[0].policy_name).finished()
    assert policy is not None
    assert rows == [*policy["curve"], specs[0]]  # the run begins after its training
    lines = said.getvalue().splitlines()
    assert any("0 of 3 jobs; now train consensus-gossip seed 0 at" in line and "steps" in line for line in lines)
    assert launch(specs, Store(tmp_path), console=Console(file=said)).fresh == 0


def nothing(data: Mapping[str, Any], tell: Tell) -> None:
    """A job that has nothing to do."""


def broken(data: Mapping[str, Any], tell: Tell) -> None:
    """A job that cannot be done."""
    raise UsageError("this cannot be done")


def test_what_needs_a_job_that_failed_is_not_begun_and_names_of_variants_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(showing, "PLAIN_LINE", 0.0)
    said, ended = io.StringIO(), dict[str, Ended]()
    jobs = [
        Job("a", "the first [variant]", broken),
        Job("b", "the second", nothing, needs=("a",)),
        Job("c", "the third", nothing, needs=("b",)),
        Job("d", "the fourth", nothing),
    ]
    launcher = LocalLauncher(2, Console(file=said, width=200))
    launcher.work(jobs, lambda over: ended.update({over.job.name: over}))
    assert {name: over.fault for name, over in ended.items()} == {
        **dict.fromkeys("abc", ("failed", "this cannot be done")),
        "d": None,
    }
    assert "the first [variant]" in said.getvalue()


def test_a_launch_here_rests_while_another_has_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    rests, looks, ended = list[float](), list[str](), list[Ended]()
    monkeypatch.setattr(local.time, "sleep", rests.append)

    def look() -> State:
        assert len(looks) <= 2 * len(rests) + 2  # before and after each rest
        looks.append("")
        return "free" if len(rests) == 3 else "taken"

    Here(quiet=True).work([Job("a", "a", nothing, look=look)], ended.append)
    assert [over.fault for over in ended] == [None]
    assert rests == [GLANCE] * 3


def test_jobs_that_need_each_other_are_named() -> None:
    jobs = [Job("a", "a", nothing, needs=("b",)), Job("b", "b", nothing, needs=("a",))]
    with pytest.raises(ValueError, match="jobs that need each other: a, b"):
        LocalLauncher(1, quiet=True).work(jobs, lambda over: None)


TRAPS = ("socket", "selectors", "psutil", "torch")  # names that processes import as they begin
ELSEWHERE = """
from accord.benchmark.launch.jobs import Job
from accord.benchmark.launch.local import LocalLauncher

if __name__ == "__main__":
    ended = []
    LocalLauncher(1, quiet=True).work([Job("a", "a", divmod)], ended.append)
    print(ended[0].fault)
"""


def test_what_lies_in_the_current_folder_is_not_imported(tmp_path: Path) -> None:
    here, script = tmp_path / "here", tmp_path / "elsewhere.py"
    here.mkdir()
    script.write_text(ELSEWHERE)
    for name in TRAPS:
        (here / f"{name}.py").write_text(f"open('{name} ran', 'w')")
    environment = os.environ | {"PYTHONPATH": SOURCES}
    done = subprocess.run([sys.executable, script], cwd=here, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "TypeError" in done.stdout  # of divmod, whose job ran
    assert sorted(path.name for path in here.iterdir()) == sorted(f"{name}.py" for name in TRAPS)
