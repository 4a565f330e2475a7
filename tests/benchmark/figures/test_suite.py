"""Figures over time and of a whole suite: what has no data is not drawn, and no older one stays in its place."""

from pathlib import Path

import numpy as np
import pytest
from helpers.figures import check_text
from helpers.records import record
from matplotlib.figure import Figure

from accord.benchmark.figures.canvas import plain, style
from accord.benchmark.figures.over_time import draw_import, draw_multipliers, draw_waiting
from accord.benchmark.figures.styles import MOST_LINES
from accord.benchmark.figures.suite import draw_figures
from accord.benchmark.figures.sweeps import Sweep, find_sweeps
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.envs.demand_response.scenario import resolve_district

WEEK = "synthetic_7-week/two_groups/average-0.4"
LONG = "synthetic_7/two_groups/average-0.4"
METHODS = ("consensus-gossip", "consensus-independent")


def arrays(spec: RunSpec) -> dict[str, np.ndarray]:
    """Traces of the length that a scenario has, made up."""
    scenario = resolve_district(spec.scenario)
    first, last = scenario.protocol.measured
    hours, rng = last - first, np.random.default_rng(0)
    names = ("district_import_kwh", "district_waiting_load", "district_demand")
    found = {name: rng.uniform(1, 2, hours) for name in names}
    return found | {"multipliers": rng.uniform(0, 1, (hours // 24, scenario.n_agents, 1))}


def mine(like: Record) -> Record:
    return like.model_copy(update={"spec": like.spec.model_copy(update={"method": "mine"})})


def sweep_of(*records: Record, traces: object = arrays) -> Sweep:
    (sweep,) = find_sweeps(records, traces, lambda address: None)  # type: ignore[arg-type]
    return sweep


def titles(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [axes.get_title().replace("\n", "") for axes in figure.axes]


def test_a_week_shows_no_growth_of_a_queue_and_has_no_such_figure() -> None:
    short = sweep_of(*(record(method, scenario=WEEK) for method in METHODS))
    assert draw_waiting(short) is None
    assert titles(draw_import(short)) == list(METHODS)
    assert titles(draw_waiting(sweep_of(*(record(method, scenario=LONG) for method in METHODS)))) == list(METHODS)


def test_a_panel_without_data_is_not_drawn() -> None:
    def traces(spec: RunSpec) -> dict[str, np.ndarray]:
        found = arrays(spec)
        if spec.method == METHODS[0]:
            found["district_waiting_load"] = np.full_like(found["district_waiting_load"], np.nan)
        del found["multipliers"]
        return found

    sweep = sweep_of(*(record(method, scenario=LONG) for method in METHODS), traces=traces)
    assert titles(draw_waiting(sweep)) == [METHODS[1]]
    assert draw_multipliers(sweep) is None


def test_a_report_written_anew_removes_what_has_nothing_to_show_and_keeps_what_it_cannot_draw(tmp_path: Path) -> None:
    stem, long = "synthetic_7-week-two_groups-average", "synthetic_7-two_groups-average"
    for name in (f"waiting-{stem}", f"import-{stem}", f"waiting-{long}", "gap-violation"):
        for suffix in (".png", ".pdf"):
            (tmp_path / f"{name}{suffix}").write_bytes(b"older")
    (tmp_path / "episode.gif").write_bytes(b"a film")
    records = [record(METHODS[0], scenario=scenario) for scenario in (WEEK, LONG)]
    kept = draw_figures(records, tmp_path, lambda spec: {}, lambda address: None, keep=True)
    assert {path.stem for path in kept} == {f"import-{stem}", f"waiting-{long}"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept} | {"episode.gif"}
    assert all(path.read_bytes() == b"older" for path in kept)
    assert draw_figures(records, tmp_path, lambda spec: {}, lambda address: None) == []
    assert [path.name for path in tmp_path.iterdir()] == ["episode.gif"]


def test_a_changed_tariff_is_a_figure_of_its_own() -> None:
    plainly, changed = "synthetic_7/ring/hourly-0.6", "synthetic_7/ring/hourly-0.6~tariff"
    records = [record(METHODS[0], scenario=scenario) for scenario in (plainly, changed, "synthetic_7/ring/hourly-0.7")]
    sweeps = find_sweeps(records, arrays, lambda address: None)
    assert [[run.spec.scenario for run in sweep.runs] for sweep in sweeps] == [
        ["synthetic_7/ring/hourly-0.6", "synthetic_7/ring/hourly-0.7"],
        [changed],
    ]
    assert [sweep.name for sweep in sweeps] == ["synthetic_7-ring-hourly", "synthetic_7-ring-hourly-tariff"]
    assert sweeps[1].title == "synthetic_7/ring\nhourly budgets, tariff changed, seed 0"


def test_own_methods_have_panels_beside_the_usual_two() -> None:
    records = [record(method, scenario=LONG) for method in (*METHODS, "mappo-augmented")]
    figure = draw_multipliers(sweep_of(*records, mine(records[0])))
    assert titles(figure) == [*METHODS, "mine"]


def test_a_panel_has_at_most_eight_lines_and_their_text_can_be_read() -> None:
    levels = [f"synthetic_7/two_groups/average-{n / 100:g}" for n in range(30, 42)]
    sweep = sweep_of(*(record(method, scenario=scenario) for scenario in levels for method in METHODS))
    with style():
        waiting, multipliers = draw_waiting(sweep), draw_multipliers(sweep)
        assert waiting is not None
        assert multipliers is not None
        check_text(waiting)
        check_text(multipliers)
    for axes in waiting.axes:
        assert len(axes.lines) == MOST_LINES
    assert "(8 of 12 levels)" in waiting.legends[0].get_title().get_text()
    labels = [text.get_text() for text in waiting.legends[0].get_texts()]
    assert labels[0] == "30"
    assert labels[-1] == "41"
    assert "λ" in multipliers.axes[0].get_ylabel()


def test_import_by_hour_shows_a_method_as_every_other_figure_does() -> None:
    records = [record(method, scenario="synthetic_7/ring/hourly-0.6") for method in (*METHODS, "serve_now")]
    with style():
        figure = draw_import(sweep_of(*records))
        assert figure is not None
        check_text(figure)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {*METHODS, "serve_now", "budget"}
    assert lines["consensus-gossip"].get_color() == lines["consensus-independent"].get_color() == "#0072B2"
    assert lines["consensus-gossip"].get_linestyle() == "-"
    assert lines["consensus-independent"].get_linestyle() == "--"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-1, "−1"), (0.001, "0.001"), (1000, "1,000"), (10_000, "10k"), (2e6, "2M"), (-20_000, "−20k")],
)
def test_numbers_at_ticks_are_plain(value: float, text: str) -> None:
    assert plain(value) == text
