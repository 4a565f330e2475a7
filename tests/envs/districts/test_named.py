"""The districts: their known sizes, how they lie in time, and a user's own folder."""

from pathlib import Path

import pytest
import torch
from helpers.district_folder import write_folder

from accord.envs.demand_response import DemandResponse
from accord.envs.districts.district import PER_AGENT, District
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError

NAMES = ("paper_seven", "campus_seven", "homes_17", "mixed_9", "synthetic_20")
CHEAP_AT_NIGHT = {20, 21, 22, 23, 0, 1, 2, 3, 4, 5}
EVENING_PEAK = {15, 16, 17, 18, 19}


@pytest.mark.parametrize(
    ("name", "n_agents", "peak", "base_load", "mean_price"),
    [
        ("paper_seven", 7, 510.57, 56.73, 0.05113),
        ("campus_seven", 7, 510.57, 56.73, 0.05113),
        ("homes_17", 17, 54.68, 6.978, 0.27313),
        ("mixed_9", 9, 167.64, 27.487, 0.27313),
    ],
)
def test_sizes_are_known(name: str, n_agents: int, peak: float, base_load: float, mean_price: float) -> None:
    district = make_district(name)
    assert district.n_agents == n_agents
    assert district.demand_peak == pytest.approx(peak, abs=0.005)
    assert district.base_load == pytest.approx(base_load, abs=0.001)
    assert district.mean_price == pytest.approx(mean_price, abs=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_a_district_makes_sense(name: str) -> None:
    district = make_district(name)
    assert torch.equal(district.hour, torch.arange(district.hours) % 24)  # whole days from midnight
    assert district.hours % 24 == 0
    for low, high in (district.training, district.measured):
        assert 0 <= low < high <= district.hours
        assert (high - low) % 24 == 0
    # In a shifted district one building trains on days that another is measured on.
    shared = bool(district.shift.any()) or district.measured[0] < district.training[1]
    assert district.in_sample == shared
    assert district.warmup <= district.measured[0]
    for values in (district.demand_profiles, district.solar_profiles, district.price):
        assert values.isfinite().all()
        assert (values >= 0).all()
    assert (district.own_peak > 0).all()
    assert ((district.efficiency > 0) & (district.efficiency <= 1)).all()
    assert (district.connection_kwh >= district.own_peak).all()
    assert (district.shift % 24 == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_sun_does_not_shine_at_night(name: str) -> None:
    district = make_district(name)
    by_hour = district.solar(0, district.hours).sum(0).view(-1, 24).mean(0)
    assert (by_hour[[0, 1, 2, 3, 20, 21, 22, 23]] == 0).all()
    assert by_hour.argmax() in (11, 12, 13)


def test_the_campus_tariff_is_cheap_at_night() -> None:
    district = make_district("paper_seven")
    cheap = {int(h) for h in district.hour[district.price < district.mean_price]}
    assert cheap == CHEAP_AT_NIGHT
    assert district.price.unique().tolist() == pytest.approx([0.03025, 0.06605], abs=5e-4)


@pytest.mark.parametrize("name", ["homes_17", "mixed_9", "synthetic_20"])
def test_the_homes_tariff_is_expensive_in_the_afternoon_peak_of_every_day(name: str) -> None:
    district = make_district(name)
    by_day = district.price.view(-1, 24)
    peak = torch.zeros(24, dtype=torch.bool)
    peak[list(EVENING_PEAK)] = True
    assert (by_day[:, peak].amin(1) > by_day[:, ~peak].amax(1)).all()


def test_doubles_have_double_demand_and_the_same_equipment() -> None:
    district = make_district("paper_seven")
    assert (district.own_peak / district.base_load).tolist() == pytest.approx([1, 1, 2, 1, 1, 2, 1])
    assert district.pv_kw.unique().tolist() == [120.0]
    assert district.battery_kwh.unique().tolist() == [140.0]
    assert district.battery_kw.unique().tolist() == [75.0]
    assert district.connection_kwh.isinf().all()
    assert district.feeder.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_paper_and_campus_differ_in_the_price_of_delay_and_the_hours_alone() -> None:
    paper, campus = make_district("paper_seven"), make_district("campus_seven")
    assert (paper.delay_price, campus.delay_price) == (0.0, 0.05)
    assert torch.equal(paper.demand(0, 2928), campus.demand(0, 2928))
    assert paper.digest != campus.digest


def test_five_of_nine_mixed_buildings_have_no_sun() -> None:
    assert int((make_district("mixed_9").pv_kw == 0).sum()) == 5


def test_a_synthetic_building_is_the_same_in_every_district() -> None:
    few, many = make_district("synthetic_10"), make_district("synthetic_1000")
    for name in PER_AGENT:
        assert torch.equal(getattr(few, name), getattr(many, name)[:10]), name
    assert torch.equal(few.demand(100, 48), many.demand(100, 48)[:10])
    assert torch.equal(few.solar(100, 48), many.solar(100, 48)[:10])
    assert len({tuple(row.tolist()) for row in many.demand(0, 24)}) > 900


def test_synthetic_sizes_are_as_documented() -> None:
    district = make_district("synthetic_1000")
    assert ((district.demand_scale >= 0.5) & (district.demand_scale <= 2)).all()
    sunny = district.pv_kw > 0
    assert 0.75 < sunny.double().mean() < 0.85
    assert torch.equal(sunny, district.battery_kwh > 0)
    torch.testing.assert_close(district.battery_kw, district.battery_kwh / 2)
    torch.testing.assert_close(district.connection_kwh, 2 * district.own_peak)
    assert district.feeder.bincount().tolist() == [100] * 10


@pytest.mark.parametrize("name", ["paper_seven", "homes_17", "synthetic_20"])
def test_the_peak_is_that_of_the_summed_demand(name: str) -> None:
    district = make_district(name)
    demand = district.demand(0, district.hours)
    assert district.demand_peak == pytest.approx(float(demand.sum(0).max()))
    assert district.own_peak.tolist() == pytest.approx(demand.amax(1).tolist())
    half = torch.arange(district.n_agents) % 2 == 0
    assert district.peak_of(half) == pytest.approx(float(demand[half].sum(0).max()))


def test_windows_wrap_around_the_calendar() -> None:
    district = make_district("synthetic_20")
    around = district.demand(district.hours - 5, 10)
    torch.testing.assert_close(around[:, 5:], district.demand(0, 5))


def test_digest_sees_every_number() -> None:
    district = make_district("homes_17")
    assert district.digest == make_district("homes_17").digest
    assert district.digest != district.take(torch.arange(16)).digest


def test_a_week_of_a_synthetic_district_is_its_own_first_one() -> None:
    year, week = make_district("synthetic_20"), make_district("synthetic_20-week")
    assert week.measured == (year.measured[0], year.measured[0] + 168)
    assert week.warmup == year.warmup
    torch.testing.assert_close(week.demand(0, 48), year.demand(0, 48))


@pytest.mark.parametrize(
    "name", ["nowhere", "", "synthetic_0", "synthetic_07", "synthetic_-3", "synthetic_x", "synthetic_9-day"]
)
def test_unknown_districts_are_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown district '{name}'; allowed: paper_seven, .*synthetic_N"):
        make_district(name)


def own_district(folder: Path, hours: int = 1344) -> District:
    return make_district(f"folder:{write_folder(folder, hours)}")


def test_a_folder_is_a_district(tmp_path: Path) -> None:
    district = own_district(tmp_path / "village")
    assert (district.name, district.n_agents, district.hours) == ("village", 2, 1344)
    assert district.demand_peak == 6.0
    assert district.own_peak.tolist() == [2.0, 4.0]
    assert district.base_load == 3.0
    assert district.pv_kw.tolist() == [4.0, 4.0]
    assert district.battery_kwh.tolist() == [6.4, 0.0]
    assert district.connection_kwh.tolist() == [4.0, 8.0]
    assert district.solar(12, 1).tolist() == [[2.0], [2.0]]
    assert district.price.unique().tolist() == pytest.approx([0.1, 0.3])


def test_a_folder_is_trained_on_its_first_half_and_measured_on_its_second(tmp_path: Path) -> None:
    district = own_district(tmp_path / "village")
    assert district.training == (0, 672)
    assert (district.warmup, district.measured) == (672, (840, 1344))
    assert not district.in_sample


def test_a_folder_runs(tmp_path: Path) -> None:
    task = DemandResponse(own_district(tmp_path / "village"), ())
    task.reset(3, torch.Generator().manual_seed(0))
    step = task.step(torch.ones(3, 2, 2))
    assert step.obs.isfinite().all()
    assert (step.measures["waiting_load"] == 0).all()


def test_folders_without_enough_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="671 hours of data; at least four weeks"):
        make_district(f"folder:{write_folder(tmp_path / 'short', 671)}")
    with pytest.raises(UsageError, match=r"schema.json: no building has a tariff; allowed: .* 1344 rows"):
        make_district(f"folder:{write_folder(tmp_path / 'free', 1344, tariff=False)}")
    with pytest.raises(UsageError, match="absent"):
        make_district(f"folder:{tmp_path / 'absent'}")
