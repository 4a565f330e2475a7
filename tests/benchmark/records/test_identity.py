"""Whatever a run depends on changes: its old numbers are never shown for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.district_folder import write_folder

from accord.benchmark.launch import launch
from accord.benchmark.launch.runner import holds, run
from accord.benchmark.records.identity import identity_here
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run

ROOT = Path(__file__).parents[3]
SMALL = {"copies": 4, "agents": 4, "ppo": {"hidden": [16], "minibatch": 192}}
WEEK = "synthetic_7-week/two_groups/average-0.4"
METHOD = '''
import torch

import accord
from accord.baselines.base import Controller, Method
from accord.baselines.registry import register


@register("half_now", "nothing")
class HalfNow(Method):
    """Serves half of what waits."""

    def build(self, task, generator):
        return HalfController()


class HalfController(Controller):
    def act(self, step):
        return torch.full((*step.reward.shape, self.spec.action.size), 0.5)


if __name__ == "__main__":
    print(accord.run("campus_seven/ring/hourly-0.35", "half_now", root="runs").metrics["objective"])
'''


def test_data_that_changed_is_measured_again(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "village", 1344)
    address, root = f"folder:{folder}/ring/average-0.9", tmp_path / "runs"
    before = run(address, "serve_now", root=root)
    assert run(address, "serve_now", root=root) == before
    prices = (folder / "pricing.csv").read_text().replace("0.1", "0.2", 1)
    (folder / "pricing.csv").write_text(prices)
    after = run(address, "serve_now", root=root)
    assert after.identity is not None
    assert before.identity is not None
    assert after.identity.data != before.identity.data
    assert after.metrics["oracle_objective"] != before.metrics["oracle_objective"]
    assert (after.identity.network, after.identity.code) == (before.identity.network, before.identity.code)


def test_a_graph_that_changed_is_run_again_and_trained_again_by_who_saw_it(tmp_path: Path) -> None:
    file, store = tmp_path / "links.csv", Store(tmp_path / "runs")
    address = f"paper_seven/edges:{file}/average-0.27"
    blind, seeing = (("consensus-gossip", SMALL), ("lgtc-ippo-augmented", {}))
    found = []
    for links in ("0,1\n0,2\n0,3\n0,4\n0,5\n0,6\n", "0,1\n1,2\n2,3\n3,4\n4,5\n5,6\n"):
        file.write_text(links)
        spec, talks = (
            make_run(address, method, 0, settings=settings, effort=EffortSpec(steps=2000))
            for method, settings in (blind, seeing)
        )
        outcome = launch([spec], store, jobs=1)
        assert (outcome.fresh, [record.status for record in outcome.records]) == (1, ["done"])
        assert launch([spec], store, jobs=1).fresh == 0
        found.append((outcome.records[0].identity, identity_here(resolve_run(talks))))
    (star, seen_star), (path, seen_path) = found
    assert star is not None
    assert path is not None
    assert star.network != path.network
    assert star.training == path.training  # trained on single agents, who have no network
    assert seen_star.training != seen_path.training


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"ppo": {"lr": 0.01}}},
        {"seed": 1},
        {"effort": {"steps": 4000}},
        {"catalogue": 2},
        {"trained_on": "synthetic_9-week/ring/average-0.4"},
    ],
    ids=["settings", "seed", "effort", "catalogue", "trained_on"],
)
def test_what_a_spec_says_is_part_of_its_name(change: dict[str, object]) -> None:
    spec = make_run(WEEK, "consensus-gossip", 0, settings=SMALL, effort=EffortSpec(steps=2000))
    fields = spec.model_dump(mode="json")
    for name, value in change.items():
        fields[name] = _merged(fields[name], value)
    assert RunSpec(**fields).digest != spec.digest


def _merged(before: object, change: object) -> object:
    if not isinstance(before, dict) or not isinstance(change, dict):
        return change
    return before | {name: _merged(before.get(name), value) for name, value in change.items()}


def test_records_of_before_there_were_digests_are_carried_out_again(tmp_path: Path) -> None:
    old = run(WEEK, "serve_now", root=tmp_path).model_copy(update={"identity": None})
    assert not holds(old, resolve_run(old.spec))
    Store(tmp_path).save(old, {})
    assert launch([old.spec], Store(tmp_path), jobs=1).fresh == 1


def test_a_method_of_ones_own_is_run_again_when_its_code_changes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"

    def objective(text: str) -> tuple[float, bool]:
        file.write_text(text)
        os.utime(file, (1, 1))  # long before the process that reads it
        before = _written(tmp_path)
        said = subprocess.run([sys.executable, str(file)], cwd=tmp_path, capture_output=True, text=True, check=True)
        return float(said.stdout), _written(tmp_path) != before

    half, fresh = objective(METHOD)
    assert fresh
    assert objective(
        METHOD.replace("half of what waits", "a half").replace("import torch", "import torch  # first")
    ) == (
        half,
        False,
    )
    most, fresh = objective(METHOD.replace("0.5)", "0.9)"))
    assert fresh
    assert most != half


# File, and words that are replaced by others: the last one is no change.
CHANGES = {
    "method": ("baselines/control/fixed.py", "= space.high if", "= 0.9 * space.high if"),
    "task": ("envs/demand_response/dynamics.py", "= rest - imported", "= rest - 0.9 * imported"),
    "evaluation": ("benchmark/evaluation/metrics.py", "return max(run.series", "return 2 * max(run.series"),
    "optimum": ("envs/optimum/sparse_program.py", "import numpy as np", "import numpy as np\n\nMORE = 1"),
    "comment": ("envs/demand_response/dynamics.py", "clamp(0.0, 1.0)\n", "clamp(0.0, 1.0)  # as asked\n"),
    "docstring": ("baselines/control/fixed.py", "No control", "Without control"),
}
DRIVER = """
import json, os, sys
from pathlib import Path
import accord
from accord.benchmark.records.identity import identity_here
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, make_run

ADDRESS = "paper_seven/two_groups/average-0.4"
learner = resolve_run(make_run(ADDRESS, "consensus-gossip", 0, effort=EffortSpec(steps=1)))

def measure():
    return accord.run(ADDRESS, "serve_now", root="runs").identity.code, identity_here(learner).training

codes = {"": measure()}
for i, (name, (file, words, others)) in enumerate(json.loads(sys.argv[1]).items()):
    path, text = Path(file), Path(file).read_text()
    assert text.count(words) == 1, (file, words)
    path.write_text(text.replace(words, others))
    os.utime(path, (2 * i, 2 * i))  # as if it had been so before this process began
    codes[name] = measure()
    path.write_text(text)
    os.utime(path, (2 * i + 1, 2 * i + 1))
print(json.dumps(codes))
"""


def test_code_of_ours_that_changed_is_run_again_and_comments_are_no_change(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", "envs", "baselines", "benchmark"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=ignore)
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "-c", DRIVER, json.dumps(CHANGES)]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    codes = json.loads(said.stdout)
    code, training = ({name: both[i] for name, both in codes.items()} for i in (0, 1))
    assert len({code[name] for name in ("", "method", "task", "evaluation", "optimum")}) == 5
    assert code["comment"] == code["docstring"] == code[""]
    # What only measures, or another method, leaves a policy as it is.
    assert {name for name in codes if training[name] != training[""]} == {"task"}


def _written(folder: Path) -> list[int]:
    return sorted(path.stat().st_mtime_ns for path in folder.glob("runs/records/*/record.json"))
