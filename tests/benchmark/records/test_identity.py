"""Whatever a run depends on changes: its old numbers are never shown for it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.district_folder import write_folder
from helpers.processes import run_script

from accord.benchmark.launch import launch
from accord.benchmark.launch.runner import holds, run
from accord.benchmark.records import code
from accord.benchmark.records.identity import context_key, identity_here
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run
from accord.envs.catalogue import resolve

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
        return float(run_script(file, tmp_path)), _written(tmp_path) != before

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


# What a run, a policy and a context go through, by a module of each part.
PARTS = {
    "accord.baselines.control.fixed": {"run", "context"},
    "accord.envs.demand_response.dynamics": {"run", "policy", "context"},
    "accord.envs.demand_response.scenario": {"run", "policy", "context"},
    "accord.envs.optimum.sparse_program": {"run", "context"},
    "accord.benchmark.evaluation.evaluate": {"run", "context"},
    "accord.benchmark.evaluation.metrics": {"run", "context"},
    "accord.benchmark.launch.runner": {"run"},
    "accord.benchmark.launch.contexts": {"run", "context"},
    "accord.benchmark.launch.training": {"run", "policy"},
    "accord.benchmark.seeding": {"run", "policy", "context"},
    "accord.baselines.training.loop": {"policy"},
    "accord.baselines.consensus.augmented": {"policy"},
    "accord.baselines.learners.mappo": set(),
    "accord.benchmark.boards.tables": set(),
}


@pytest.mark.parametrize("module", PARTS)
def test_each_part_of_the_code_counts_where_it_is_gone_through(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "paper_seven/two_groups/average-0.4"
    rule = resolve_run(make_run(address, "serve_now", 0))
    learner = resolve_run(make_run(address, "consensus-gossip", 0, effort=EffortSpec(steps=1)))

    def digests() -> dict[str, str]:
        code._KNOWN.clear()
        policy = identity_here(learner).training
        return {"run": identity_here(rule).code, "policy": policy, "context": context_key(resolve(address))}

    before, read = digests(), code._read

    def changed(name: str, path: Path) -> code.Read | None:
        found = read(name, path)
        assert found is not None
        when, text, imported = found
        return when, (f"{text}\nMORE = 1" if name == module else text), imported

    monkeypatch.setattr(code, "_read", changed)
    after = digests()
    code._KNOWN.clear()
    assert {name for name in before if after[name] != before[name]} == PARTS[module]


def test_the_limits_of_budgets_are_part_of_a_policy_that_is_trained_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    held = resolve_run(make_run("synthetic_7-week/ring/average-0.4", "mappo-lagrangian", 0, effort=EffortSpec(steps=1)))
    drawn = resolve_run(make_run("synthetic_7-week/ring/average-0.4", "mappo-augmented", 0, effort=EffortSpec(steps=1)))
    before = [identity_here(run).training for run in (held, drawn)]
    tighter = tuple(replace(budget, limit=0.9 * budget.limit) for budget in held.trained_on.budgets())
    monkeypatch.setattr(type(held.trained_on), "budgets", lambda scenario: tighter)
    after = [identity_here(run).training for run in (held, drawn)]
    assert [now != then for now, then in zip(after, before, strict=True)] == [True, False]


FACTORY = """
from accord.baselines.base import Controller, Method
import torch

def constant(share):
    class Constant(Method):
        def build(self, task, generator):
            class Fixed(Controller):
                def act(self, step):
                    return torch.full((*step.reward.shape, self.spec.action.size), share)
            return Fixed()
    return Constant
"""
REGISTERS = """
import accord.benchmark
from accord.baselines.registry import register
from accord.benchmark.records import code
from accord.benchmark.records.identity import context_key, identity_here
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run
from factory import constant

register("constant", "nothing")(constant(0.5))
if __name__ == "__main__":
    print(identity_here(resolve_run(make_run("paper_seven/ring/average-0.4", "constant", 0))).code)
"""


def test_a_class_that_a_function_made_is_the_code_of_both(tmp_path: Path) -> None:
    def asked(main: str, factory: str) -> str:
        (tmp_path / "main.py").write_text(main)
        (tmp_path / "factory.py").write_text(factory)
        return run_script(tmp_path / "main.py", tmp_path)

    first = asked(REGISTERS, FACTORY)
    assert asked(REGISTERS.replace("0.5", "0.9"), FACTORY) != first
    assert asked(REGISTERS, FACTORY.replace(", share)", ", 1 - share)")) != first
    assert asked(REGISTERS, FACTORY) == first


def test_a_graph_that_changes_while_a_run_goes_on_changes_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "links.csv"
    file.write_text("0,1\n0,2\n0,3\n0,4\n0,5\n0,6\n")
    scenario = resolve(f"paper_seven/edges:{file}/average-0.27")
    star = scenario.network_digest
    file.write_text("0,1\n1,2\n2,3\n3,4\n4,5\n5,6\n")
    assert scenario.network().digest == star
    assert resolve(scenario.address).network_digest != star


def test_a_file_that_a_schema_names_elsewhere_counts(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "village", 1344)
    (folder / "pricing.csv").rename(tmp_path / "shared.csv")
    schema = (folder / "schema.json").read_text()
    (folder / "schema.json").write_text(schema.replace("pricing.csv", "../shared.csv"))
    before = resolve(f"folder:{folder}/ring/average-0.9").digest
    (tmp_path / "shared.csv").write_text((tmp_path / "shared.csv").read_text().replace("0.1", "0.2", 1))
    assert resolve(f"folder:{folder}/ring/average-0.9").digest != before


def _written(folder: Path) -> list[int]:
    return sorted(path.stat().st_mtime_ns for path in folder.glob("runs/records/*/record.json"))
