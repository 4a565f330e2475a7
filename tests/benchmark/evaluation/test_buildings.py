"""Two homes whose bill, delay and import can be worked out by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.district_folder import write_folder

from accord.baselines.base import Controller
from accord.baselines.registry import make_method
from accord.benchmark.evaluation.buildings import BILL, Buildings, beside_today, names_of
from accord.benchmark.evaluation.context import Context
from accord.benchmark.evaluation.evaluate import Evaluation, evaluate
from accord.benchmark.seeding import seeded
from accord.envs.demand_response.scenario import DistrictScenario, resolve_district

WEEKS = 4
DAYS = 11  # of 28 half are for training and 3 for the warm-up
SHARE = 0.5  # of what waits, served each hour


def district(folder: Path) -> DistrictScenario:
    return resolve_district(f"folder:{folder}/complete/average-0.5")


def rolled_out(scenario: DistrictScenario, method: str, **settings: object) -> Evaluation:
    controller: Controller = make_method(method, settings).build(scenario.task(), seeded(0, "t"))
    return evaluate(scenario, controller, Context(), seeded(0, "t"))


def half(scenario: DistrictScenario) -> Evaluation:
    """Of all that waits half is served, battery first."""
    policy = Path(__file__).parents[2] / "helpers" / "half_policy.py"
    return rolled_out(scenario, "outside", policy=f"{policy}:policy")


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> DistrictScenario:
    return district(write_folder(tmp_path_factory.mktemp("homes") / "street", WEEKS * 7 * 24))


@pytest.fixture(scope="module")
def found(homes: DistrictScenario) -> Buildings:
    return beside_today("half", "serve_now", names_of(homes), half(homes), rolled_out(homes, "serve_now"))


def hours() -> Iterator[tuple[float, float]]:
    """Demand and price of the second home, which has no battery, over the measured hours."""
    for hour in range(24 * DAYS):
        yield 2.0 * (1 + (hour % 24 == 19)), 0.1 + 0.2 * (hour % 24 >= 16)


def row(found: Buildings, name: str) -> pd.Series:
    return found.table.set_index("building").loc[name]


def test_todays_rule_pays_the_price_of_every_hour_of_import(found: Buildings) -> None:
    home = row(found, "home_2")
    assert found.hours == 24 * DAYS
    assert home["import_today"] == pytest.approx(DAYS * (24 * 2 + 2))
    assert home["bill_today"] == pytest.approx(DAYS * (16 * 2 * 0.1 + (8 * 2 + 2) * 0.3))
    assert (home["peak_today"], home["delay_today"]) == (4.0, 0.0)


def test_a_policy_that_serves_half_of_what_waits_is_worked_out_hour_by_hour(found: Buildings) -> None:
    waiting, imports, queue, paid = 0.0, [], [], 0.0
    for demand, price in hours():
        imports.append(SHARE * (demand + waiting))
        waiting = (1 - SHARE) * (demand + waiting)
        queue.append(waiting)
        paid += price * imports[-1]
    home = row(found, "home_2")
    assert home["bill"] == pytest.approx(paid, rel=1e-5)
    assert home["import"] == pytest.approx(sum(imports), rel=1e-5)
    assert home["peak"] == pytest.approx(max(imports), rel=1e-5)
    assert home["delay"] == pytest.approx(sum(queue) / (DAYS * 50), rel=1e-5)
    assert home["waiting"] == pytest.approx(waiting, rel=1e-5)
    assert home["bill_change"] == pytest.approx(100 * (paid / home["bill_today"] - 1), rel=1e-4)
    assert home["peak_change"] == pytest.approx(100 * (max(imports) / 4 - 1), rel=1e-4)
    assert home["delay_change"] == home["delay"]


def test_todays_rule_against_itself_changes_nothing(homes: DistrictScenario) -> None:
    today = rolled_out(homes, "serve_now")
    same = beside_today("itself", "serve_now", names_of(homes), today, today)
    for name in ("bill_change", "delay_change", "import_change", "peak_change"):
        assert same.table[name].tolist() == [0.0, 0.0]
        assert same.district[name] == 0.0
    assert same.waiting_share == 0.0


def test_the_district_is_the_sum_and_its_peak_that_of_the_sum(found: Buildings) -> None:
    for name in ("bill", "bill_today", "import", "import_today", "waiting"):
        assert found.district[name] == pytest.approx(found.table[name].sum())
    assert found.district["peak"] <= found.table["peak"].sum()
    demand = DAYS * (25 + 50)
    queues = (found.table.set_index("building")["delay"] * pd.Series({"home_1": 25, "home_2": 50})).sum() * DAYS
    assert found.district["delay"] == pytest.approx(queues / demand)
    assert found.waiting_share == pytest.approx(found.table["waiting"].sum() / demand)


def test_buildings_bear_the_names_of_their_schema_and_the_largest_rise_comes_first(found: Buildings) -> None:
    assert set(found.table["building"]) == {"home_1", "home_2"}
    assert found.table["bill_change"].is_monotonic_decreasing
    assert names_of(resolve_district("paper_seven/ring/average-0.3"))[6] == "building 7"


def test_without_a_tariff_there_is_no_bill(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "free", WEEKS * 7 * 24)
    pd.DataFrame({"electricity_pricing": np.zeros(WEEKS * 7 * 24)}).to_csv(folder / "pricing.csv", index=False)
    scenario = district(folder)
    free = beside_today("free", "serve_now", names_of(scenario), half(scenario), rolled_out(scenario, "serve_now"))
    assert BILL not in free.shown
    assert free.table[["bill", "bill_today", "bill_change"]].isna().all(axis=None)
    assert free.table["import_change"].is_monotonic_decreasing
