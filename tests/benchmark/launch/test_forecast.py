"""How long runs will take, by hand-made records."""

from pathlib import Path

import pytest
from helpers.records import record

from accord.benchmark.launch import forecast
from accord.benchmark.launch.forecast import START, Row, Times, forecast_of
from accord.benchmark.launch.start import Planned, planned
from accord.benchmark.records.store import Store
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run

RING, STAR = "paper_seven/ring/average-0.27", "paper_seven/star/average-0.3"


def spec(method: str, seconds: float = 900.0, scenario: str = STAR) -> RunSpec:
    return make_run(scenario, method, 0, effort=EffortSpec(steps=1_000_000, seconds=seconds))


def test_times_are_those_of_the_same_method_on_the_same_kind_of_scenario() -> None:
    known = [
        record(seed=n, steps=10, steps_per_second=speed, step_microseconds=50.0) for n, speed in enumerate((4e3, 8e3))
    ]
    assert Times([]).basis == "no record"
    times = Times([*known, record("serve_now", step_microseconds=10.0), record("random", status="failed")])
    assert times.training(spec("consensus-gossip")) == pytest.approx(1e6 / 6e3)
    assert times.training(spec("consensus-gossip", seconds=60)) == 60
    assert times.training(spec("consensus-independent")) is None
    assert times.training(spec("consensus-gossip", scenario="homes_17/ring/average-0.3")) is None
    found = times.run(spec("serve_now"))
    assert found is not None
    assert found > START
    assert times.run(spec("random")) is None
    assert times.basis.startswith("3 records of ")


def test_a_forecast_counts_by_method_and_says_what_it_does_not_know(tmp_path: Path) -> None:
    specs = [spec("consensus-gossip"), spec("consensus-gossip", scenario=RING), spec("serve_now"), spec("random")]
    work = planned(specs, Store(tmp_path))
    assert [one.kind for one in work].count("training") == 1  # one policy of both networks
    assert [one.kind for one in work].count("optimum") == 2
    times = Times([record(steps=10, steps_per_second=1e4, step_microseconds=0.0)])
    found = forecast_of(specs, work, times)
    assert found.rows == (
        Row("consensus-gossip", 2, 0, 1, pytest.approx(100 + 2 * START)),
        Row("serve_now", 1, 0, 0, None),
        Row("random", 1, 0, 0, None),
    )
    assert (found.runs, found.stored, found.optima) == (4, 0, 2)
    none_left = forecast_of(specs, [], times)
    assert (none_left.stored, none_left.optima_seconds) == (4, 0)
    assert isinstance(work[0], Planned)


def test_a_programme_that_is_refused_takes_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [spec("serve_now")]
    work = planned(specs, Store(tmp_path))
    solved = forecast_of(specs, work, Times([])).optima_seconds
    monkeypatch.setattr(forecast, "LARGEST_APART", 1)
    assert forecast_of(specs, work, Times([])).optima_seconds == START < solved
