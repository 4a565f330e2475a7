"""What the tests of faults share: a printed seed, cases that are named by it, and a small sweep."""

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from helpers.cases import Draw

from accord.benchmark.launch import launch
from accord.benchmark.launch.local import Here
from accord.benchmark.records.store import Store
from accord.benchmark.report import publish
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.suite import load_suite

CASES = pytest.StashKey[dict[str, int]]()
SUITE = """
description: Small enough for a test.
smoke: true
seeds: 2
effort: {steps: 400, seconds: 3_600, snapshots: 2}
entries:
  - district: synthetic_7-week
    networks: [ring]
    budgets: [average-0.4]
    methods: [oracle, serve_now, random, consensus-gossip]
    variants: {"": {copies: 2, agents: 2, ppo: {hidden: [8], minibatch: 96, epochs: 1}}}
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="Another one draws other cases.")


def pytest_report_header(config: pytest.Config) -> str:
    return f"cases are drawn by --seed {config.getoption('--seed')}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CASES] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for kind, count in config.stash[CASES].items():
        terminalreporter.write_line(f"{count} cases of {kind}")


@pytest.fixture
def draw(request: pytest.FixtureRequest) -> Draw:
    """So many cases of a kind: the name of each, and the generator that it is drawn by."""
    seed, counted = request.config.getoption("--seed"), request.config.stash[CASES]

    def cases(kind: str, count: int) -> Iterator[tuple[str, Random]]:
        for number in range(count):
            name = f"{kind} {number} of seed {seed}"
            counted[kind] = counted.get(kind, 0) + 1
            yield name, Random(name)

    return cases


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The command line lifts the limit on digits for its process."""
    digits = sys.get_int_max_str_digits()
    yield
    sys.set_int_max_str_digits(digits)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a small suite was run, under runs/, and published, under results/."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "tiny.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(publish, "is_uncommitted", lambda record: False)  # as in a clean checkout
        suite, store = load_suite("tiny.yaml"), Store(Path("runs"))
        assert not launch(runs_of(suite), store, launcher=Here()).failed
        publish.publish_runs(suite, Overrides(), store, Path("results"), typed="tiny.yaml")
    return folder
