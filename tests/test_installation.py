"""Accord as users install it: the wheel in a fresh environment, among foreign packages and folders of its names."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
FOREIGN = ("envs", "baselines", "benchmark")
Run = Callable[..., subprocess.CompletedProcess[str]]
SUITE = """
name: outside
description: What an outside package adds.
seeds: 1
effort: {steps: 20_000, seconds: 600}
entries:
  - scenarios: [sharing_5/ring/0.5]
    methods: [oracle, equal-share, random, consensus-gossip, mappo-augmented]
    variants:
      "":
        ppo: {hidden: [16], minibatch: 128}
  - district: homes_5
    networks: [ring]
    budgets: [average-0.3]
    methods: [oracle, equal-share, serve_now, half-now]
"""


# All that a method in the repository takes.
ONE_FILE = '''
"""A method that was added to the repository."""

import torch

from accord.baselines.base import Controller, Method
from accord.baselines.registry import register


class HalfController(Controller):
    def act(self, step):
        return torch.full((*step.reward.shape, self.spec.action.size), 0.5)


@register("half-now", "nothing")
class HalfNow(Method):
    """Serves half of what waits."""

    def build(self, task, generator):
        return HalfController()
'''


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel that the sdist gives, an outside package, and foreign packages."""
    folder = tmp_path_factory.mktemp("installed")
    for name in (".", "examples/package"):
        copy = folder / "sources" / Path(name).name
        unwanted = shutil.ignore_patterns(
            ".*", "runs", "results", "wandb", "build", "dist", "*.egg-info", "__pycache__"
        )
        shutil.copytree(ROOT / name, copy, symlinks=True, ignore=unwanted)
        if name == ".":
            (copy / "baselines" / "learners" / "half_now.py").write_text(ONE_FILE)
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(copy)]
        done = subprocess.run(build, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    wheels = [str(path) for path in (folder / "dist").glob("*.whl")]
    quiet = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    # The pip of here: another copy of it would take longer to install than the wheels.
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *quiet, *wheels], check=True)
    libraries = next((folder / "venv" / "lib").glob("python*/site-packages"))
    for name in FOREIGN:
        (libraries / name).mkdir()
        (libraries / name / "__init__.py").write_text(f"WHOSE = 'foreign {name}'\n")
    # What Accord needs comes from this environment: as a plain path, so that no editable install is seen there.
    (libraries / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder that has things of its own by our names."""
    folder = tmp_path_factory.mktemp("project")
    for name in (*FOREIGN, "accord_runs"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('this is the user’s own')\n")
    (folder / "suite.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def call(python: Path, elsewhere: Path) -> Run:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WANDB"))}
    environment |= {"WANDB_MODE": "disabled", "COLUMNS": "250", "XDG_CACHE_HOME": str(elsewhere / "cache")}

    def run(*words: str, program: Path = python) -> subprocess.CompletedProcess[str]:
        command = [str(program), *words]
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    return run


TWO_NAMES = """
import os, sys; sys.path.remove("")
import envs, baselines, benchmark, accord, accord.baselines, accord.benchmark
print(envs.WHOSE, baselines.WHOSE, benchmark.WHOSE, sep=", ")
home = os.path.dirname(accord.__file__)
ours = {name: m for name, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith(home + os.sep)}
print(sorted({name.split(".")[0] for name in ours} - {"accord"}))
print(len(ours) == len({module.__file__ for module in ours.values()}))
print(accord.__file__)
print(accord.make("homes_17/ring/average-0.2").spec.n_agents)
"""


def test_nothing_is_imported_from_anywhere_else_or_under_two_names_and_the_data_are_there(
    call: Run, python: Path
) -> None:
    done = call("-c", TWO_NAMES)
    assert done.returncode == 0, done.stderr
    whose, others, once, where, agents = done.stdout.splitlines()
    assert whose == "foreign envs, foreign baselines, foreign benchmark"
    assert (others, once) == ("[]", "True")
    assert Path(where).is_relative_to(python.parents[1])
    assert agents == "17"


def test_the_wheel_says_that_it_is_typed(python: Path) -> None:
    (folder,) = (python.parents[1] / "lib").glob("python*/site-packages/accord")
    assert {"py.typed", "envs", "baselines", "benchmark"} <= {path.name for path in folder.iterdir()}


def test_the_command_is_there_by_both_names_and_lists_what_an_outside_package_adds(call: Run, python: Path) -> None:
    script = python.with_name("accord")
    by_module, by_script = call("-m", "accord", "--version"), call("--version", program=script)
    assert by_module.returncode == by_script.returncode == 0, by_module.stderr + by_script.stderr
    assert by_script.stdout == by_module.stdout
    listed = call("list", program=script)
    assert listed.returncode == 0, listed.stderr
    for word in ("half-now", "equal-share", "sharing_N/NETWORK/C", "homes_5", "use_peak"):
        assert word in listed.stdout


def test_it_runs_is_compared_and_has_a_row_in_the_table(call: Run, elsewhere: Path) -> None:
    done = call("-m", "accord", "run", "suite.yaml", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 of 9 runs done" in done.stderr
    assert "use peak (%)" in done.stdout
    table = pd.read_csv(elsewhere / "runs" / "reports" / "outside" / "leaderboard.csv").set_index(
        ["scenario", "method"]
    )
    sharing = table.loc["sharing_5/ring/0.5"]
    # Of five agents two and a half are served: 5 + 4 + 3/2, against half of all values, 7.5.
    assert sharing.loc["oracle", "objective"] == pytest.approx(-10.5)
    assert sharing.loc["equal-share", "objective"] == pytest.approx(-7.5)
    assert sharing.loc["equal-share", "violation"] == pytest.approx(0.0, abs=1e-6)
    assert sharing.loc["equal-share", "use_peak"] == pytest.approx(1.0)
    assert sharing.loc["equal-share", "locality"] == "own numbers"
    assert sharing.loc["consensus-gossip", "locality"] == "neighbours, 1 hop/step"
    assert sharing.loc["oracle", "optimality_gap"] == 0
    assert sharing.loc["equal-share", "optimality_gap"] == pytest.approx(3 / 10.5)  # worse, though both are below 0
    assert sharing["optimality_gap"].notna().all()
    homes = table.loc["homes_5/ring/average-0.3"]
    assert homes.loc["oracle", "n_agents"] == 5
    assert homes.loc["equal-share", "use_peak"] > 0
    assert homes.loc["half-now", "locality"] == "own numbers"


def test_the_conformance_checks_hold_outside_too(call: Run) -> None:
    checks = (
        "from accord.envs.testing import check_scenario; check_scenario('sharing_5/ring/0.5')\n"
        "from accord.baselines.testing import check_method\n"
        "check_method('equal-share', 'sharing_5/path/0.5')\n"
        "small = {'copies': 2, 'agents': 2, 'ppo': {'hidden': [8], 'minibatch': 64, 'epochs': 1}}\n"
        "check_method('consensus-gossip', 'sharing_5/path/0.5', small, steps=1_000)\n"
    )
    done = call("-c", checks)
    assert done.returncode == 0, done.stderr


MISTAKES = """
import sys
from accord.benchmark.cli import main
for words in (["run", "sharing"], ["audit", "equal-share", "--scenario", "sharing_5/ring/1.5"]):
    sys.argv = ["accord", *words]
    try:
        main()
    except SystemExit as ended:
        print(ended.code)
"""


def test_a_mistake_is_one_line(call: Run) -> None:
    done = call("-c", MISTAKES)
    assert done.stdout.split() == ["2", "2"], done.stderr
    first, second = done.stderr.splitlines()
    assert "unknown suite 'sharing'" in first
    assert "allowed: sharing_N/NETWORK/C" in second
