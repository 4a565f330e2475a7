"""What the tests of faults share: a seed that is printed, cases that are named by it, and their number at the end."""

from collections.abc import Iterator
from random import Random

import pytest
from helpers.cases import Draw

CASES = pytest.StashKey[dict[str, int]]()


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
    seed = request.config.getoption("--seed")

    def cases(kind: str, count: int) -> Iterator[tuple[str, Random]]:
        request.config.stash[CASES][kind] = request.config.stash[CASES].get(kind, 0) + count
        for number in range(count):
            name = f"{kind} {number} of seed {seed}"
            yield name, Random(name)

    return cases
