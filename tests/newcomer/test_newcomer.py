"""A newcomer's first hour: the commands of README and tutorial as they stand, in a fresh clone of what is committed.

Seconds are printed and not judged: most of them install torch.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import load_suite

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TUTORIAL = (ROOT / "docs" / "tutorials" / "own_district.md").read_text(encoding="utf-8")
WEEKS, TARIFF, EVENING, OTHERWISE = 8, 0.25, 3.0, 0.5  # of the newcomer's home: $ per kWh, kWh in an hour


class Newcomer:
    """Types one command after the other.

    Attributes:
        folder: Where they are typed.
        typed: All of them so far.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.typed = folder, list[str]()
        ours = ("PYTHON", "VIRTUAL_ENV", "WANDB")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._environment["PYTHON"] = sys._base_executable  # type: ignore[attr-defined]  # of which make builds .venv

    def type(self, command: str) -> str:
        """What a command prints."""
        began = time.perf_counter()
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self._environment, capture_output=True, encoding="utf-8"
        )
        self.typed.append(command)
        print(f"{time.perf_counter() - began:7.1f} s  {command}")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def board(self, suite: str) -> pd.DataFrame:
        """The leaderboard that lies in the clone, by scenario, method and variant."""
        table = pd.read_csv(self.folder / "runs" / "reports" / suite / "leaderboard.csv", keep_default_na=False)
        return table.set_index(["scenario", "method", "variant"]).sort_index()


def blocks(page: str, language: str = "") -> list[str]:
    """What stands between the fences of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)


def commands(block: str) -> list[str]:
    """The commands of a block, without comments."""
    return [command for line in block.splitlines() if (command := line.partition("#")[0].strip())]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    """One who has cloned the repository and typed the first command of its README."""
    who = Newcomer(tmp_path_factory.mktemp("newcomer"))
    who.type(f"git clone --quiet {ROOT} accord")
    who.folder /= "accord"
    bench, *_ = commands(blocks(README)[0])
    printed = who.type(bench)
    for address in {run.scenario for run in runs_of(load_suite("quick"))}:
        assert f"## {address}" in printed
    return who


def test_two_commands_lead_from_nothing_to_a_leaderboard(newcomer: Newcomer) -> None:
    assert len(newcomer.typed) == 2
    board = newcomer.board("quick")
    assert set(board.index) == {(run.scenario, run.method, run.variant) for run in runs_of(load_suite("quick"))}
    assert board["verdict"].ne("").all()
    assert not board["verdict"].str.contains("failed").any()


def test_thirty_lines_more_lead_to_a_method_of_ones_own_on_it(newcomer: Newcomer) -> None:
    (method,) = (block for block in blocks(README, "python") if "@register(" in block)
    assert len([line for line in method.splitlines() if line.strip()]) <= 30
    (block,) = (block for block in blocks(README) if "my_method.py --methods" in block)
    (newcomer.folder / "my_method.py").write_text(method, encoding="utf-8")
    before = set(newcomer.board("quick").index)
    *_, printed = [newcomer.type(command) for command in commands(block)]
    (name,) = re.findall(r'@register\("([^"]+)"', method)
    board = newcomer.board("quick")
    own = {(run.scenario, name, "") for run in runs_of(load_suite("quick"))}
    assert set(board.index) == before | own
    for address, *_ in own:
        section = printed.partition(f"## {address}\n")[2].partition("\n## ")[0]
        assert re.search(rf"^\| \**{name}\** ", section, re.M), section
    assert board.loc[sorted(own), "optimality_gap"].ne("").all()


def test_five_commands_lead_from_nothing_to_a_district_of_ones_own(newcomer: Newcomer) -> None:
    clone, typed = newcomer.typed[0], commands(blocks(TUTORIAL)[0])
    assert len([clone, *typed]) <= 5
    printed = []
    for command in typed:
        printed.append(newcomer.type(command))
        if "new-district" in command:
            fill_in(newcomer.folder / command.split()[-1])
    folder = newcomer.folder / "my_district"
    address = f"folder:{folder}/complete/average-0.5"
    assert any(f"## {address}" in said for said in printed)
    assert "| home_1 " in printed[-1]
    board = newcomer.board("own-district").loc[address].droplevel("variant")
    assert {"oracle", "serve_now", "rule_based"} <= set(board.index)
    # Without sun every load is bought at once, six hours of the day at the higher one.
    assert float(board.loc["serve_now", "cost"]) == pytest.approx(TARIFF * (6 * EVENING + 18 * OTHERWISE) / 24)
    assert board.loc["serve_now", "verdict"] == "feasible"


def fill_in(folder: Path) -> None:
    """Put a home of one's own in place of the example."""
    hours = pd.Series(range(WEEKS * 7 * 24)) % 24
    demand = hours.between(17, 22).map({True: EVENING, False: OTHERWISE})
    home = pd.DataFrame({"hour": hours + 1, "non_shiftable_load": demand, "solar_generation": 0.0})
    home.to_csv(folder / "home_1.csv", index=False)
    pd.DataFrame({"electricity_pricing": [TARIFF] * len(hours)}).to_csv(folder / "pricing.csv", index=False)
