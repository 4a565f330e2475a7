"""Exponents against powers of N that are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.figures import check_text

from accord.benchmark.figures.canvas import style
from accord.benchmark.performance.scale_report import (
    BRACKETS,
    CROWD,
    QUANTITIES,
    beside_published,
    cells,
    figure_of,
    fit,
    fits,
    markdown,
    named_apart,
    quality_markdown,
    write_scale,
)
from accord.benchmark.performance.stages import STAGES

SIZES = [2**k for k in range(2, 15)]


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_a_power_of_n_is_found(power: float) -> None:
    found = fit(SIZES, [3.0 * n**power for n in SIZES])
    assert found is not None
    assert found.exponent == pytest.approx(power, abs=1e-9)
    assert found.low == pytest.approx(power, abs=1e-6)
    assert found.last == SIZES[-1]


def test_what_does_not_grow_yet_is_left_out() -> None:
    found = fit(SIZES, [100 + n for n in SIZES])
    assert found is not None
    assert found.first == 512  # the first with four times the least
    assert 0.9 < found.exponent < 1.0
    slow = fit(SIZES, [500.0, *(100 + n for n in SIZES[1:])])  # a first cell that something held up
    assert slow == found


def test_where_a_cost_bends_upward_is_found() -> None:
    found = fit(SIZES, [n if n <= 256 else n**1.5 / 16 for n in SIZES])
    assert found is not None
    assert found.bends == 256
    assert "upward from 256)" in found.text()
    once = fit(SIZES, [*(1.0 * n for n in SIZES[:-1]), 1.3 * SIZES[-1]])
    assert once is not None
    assert once.bends is None
    straight = fit(SIZES, [1.0 * n for n in SIZES])
    assert straight is not None
    assert straight.bends is None


def test_what_has_only_begun_to_grow_has_no_exponent() -> None:
    assert fit([4, 8, 16, 32, 64, 128], [1.0, 1.0, 1.0, 1.0, 2.0, 8.0]) is None


def covered(power: float, error: float, sizes: list[int], draws: int) -> float:
    """How often an exponent's interval holds the power that costs grow as, where there is one."""
    noise = np.exp(error * np.random.default_rng(0).standard_normal((draws, len(sizes))))
    found = [fit(sizes, (np.array(sizes) ** power * own).tolist()) for own in noise]
    return float(np.mean([made.low <= power <= made.high for made in found if made is not None]))


@pytest.mark.parametrize("power", [0.0, 1.0, 1.3])
def test_the_interval_holds_as_often_as_it_says(power: float) -> None:
    assert covered(power, 0.1, SIZES, 2_000) == pytest.approx(0.95, abs=0.02)


def test_the_interval_holds_less_often_where_a_cost_grows_some_four_times_in_all() -> None:
    assert covered(0.6, 0.3, SIZES[:5], 2_000) < 0.93


def test_two_sizes_have_no_interval() -> None:
    assert fit([4, 8], [1.0, 2.0]) is None


def rows() -> list[dict]:
    linear = [
        {"line": "linear", "n_agents": n, "status": "done", "step_microseconds": 2.0, "peak_memory": 10.0}
        for n in SIZES[:5]
    ]
    square = [
        {"line": "square", "n_agents": n, "status": "done", "iteration_seconds": n**2 / 1e3}
        | {"step_microseconds": 1.0 * n, "peak_memory": 3.0}
        for n in SIZES[:5]
    ]
    stopped = {"line": "square", "n_agents": 128, "status": "out of time", "stopped_in": "training", "peak_memory": 9.0}
    return [{"device": "cpu", **row} for row in (*linear, *square, stopped)]


def test_table_and_files_say_where_a_line_grows_and_stops(tmp_path: Path) -> None:
    table = cells(rows())
    found = fits(table)
    assert set(found) == {
        ("linear", "hour_seconds"),
        ("linear", "peak_memory"),
        ("square", "iteration_seconds"),
        ("square", "hour_seconds"),
        ("square", "peak_memory"),
    }
    assert found["linear", "hour_seconds"].exponent == pytest.approx(1)
    assert found["square", "hour_seconds"].exponent == pytest.approx(2)
    text = markdown(table)
    assert "| linear | – | 1.00 [1.00, 1.00] (16 to 64) | " in text
    assert "| – | – | 2 | 10 | 64 | – |" in text
    assert "| – | – | 64 | 3 | 64 | 128: out of time in training |" in text
    assert "in chunks" not in text
    assert text.endswith(f"\n\n{BRACKETS}\n")
    files = write_scale(table, tmp_path)
    assert {path.name for path in files} == {
        "SHA256SUMS",
        "cells.csv",
        "fits.csv",
        "scale.md",
        "scaling.png",
        "scaling.pdf",
    }
    assert all(path.stat().st_size > 0 for path in files)
    kept = pd.read_csv(tmp_path / "cells.csv")
    assert len(kept) == 11
    assert pd.read_csv(tmp_path / "fits.csv")["exponent"].round(6).tolist() == [2.0, 1.0, 2.0, 0.0, 0.0]


def test_stages_of_crowds_have_a_table() -> None:
    row = {"line": "crowd", "n_agents": 2**20, "status": "done", "step_microseconds": 0.3, "peak_memory": 512.0}
    row |= {"products_microseconds": 0.1, "state_bytes": 72, "all_cores_microseconds": 0.2}
    row |= dict(zip((f"{stage}_microseconds" for stage in STAGES), (0.05, 0.15, 0.04, 0.03, 0.03), strict=True))
    expected = "| crowd | 1,048,576 | 0.3 | 0.05 | 0.15 | 0.04 | 0.03 | 0.03 | 0.1 | 3.0 | 0.2 | 72 | 512 |"
    text = markdown(cells([row, {**row, "n_agents": 64}]))
    assert expected in text
    assert "processes" not in text
    spread = {**row, "line": "spread", "shards": 2, "crossed_messages": 1.5, "crossed_bytes": 4.25}
    del spread["products_microseconds"], spread["all_cores_microseconds"]
    text = markdown(cells([row, spread]))
    assert f"{expected} – | – | – |" in text
    assert (
        "| spread | 1,048,576 | 0.3 | 0.05 | 0.15 | 0.04 | 0.03 | 0.03 | – | – | – | 72 | 512 | 2 | 1.5 | 4.25 |"
        in text
    )


def test_memory_of_an_accelerator_is_its_own() -> None:
    table = cells([{"line": "a", "n_agents": 4, "peak_memory": 300.0, "device_memory": 20.0}, rows()[0]])
    assert table["peak_memory"].tolist() == [20.0, 10.0]


def test_many_agents_are_fitted_apart() -> None:
    sizes = [256, 4096, 16384, 65536, 262144, 2**20]
    costs = [{"line": "a", "n_agents": n, "status": "done", "step_microseconds": 1.0 + 500.0 / n} for n in sizes]
    found = fits(cells(costs))
    assert found["a", "hour_seconds"].exponent < 0.985 < found["a", CROWD].exponent < 1
    assert found["a", CROWD].first == 16384


def test_a_report_keeps_other_devices_and_other_lines(tmp_path: Path) -> None:
    def on(device: str, step: float, line: str = "a") -> pd.DataFrame:
        own = {"device": device, "step_microseconds": step, "line": line, "cpu": "fast", "gpu": "faster"}
        return cells([{**row, **own} for row in rows()[:2]])

    def known(table: pd.DataFrame) -> list[tuple[str, str, float]]:
        return list(zip(table["line"], table["device"], table["step_microseconds"], strict=True))[::2]

    assert known(beside_published(on("cpu", 1.0), tmp_path, whole=False)) == [("a", "cpu", 1.0)]
    files = write_scale(pd.concat([on("cuda", 3.0, "a on cuda"), on("cpu", 2.0), on("cpu", 4.0, "b")]), tmp_path)
    assert {"scaling.png", "scaling-cuda.png"} < {path.name for path in files}
    on_gpu = ("a on cuda", "cuda", 3.0)
    assert known(beside_published(on("cpu", 1.0), tmp_path, whole=True)) == [("a", "cpu", 1.0), on_gpu]
    one = beside_published(on("cpu", 1.0), tmp_path, whole=False)
    assert known(one) == [("b", "cpu", 4.0), ("a", "cpu", 1.0), on_gpu]


def test_lines_of_another_machine_bear_its_name(tmp_path: Path) -> None:
    def on(device: str, line: str, machine: str) -> pd.DataFrame:
        return cells([{**row, "device": device, "line": line, "cpu": machine, "gpu": machine} for row in rows()[:2]])

    def names(table: pd.DataFrame) -> list[str]:
        return list(table["line"].unique())

    assert names(named_apart(on("cpu", "a", "slow"), tmp_path)) == ["a"]  # nothing is there yet
    write_scale(pd.concat([on("cpu", "a", "fast"), on("cpu", "a (slow)", "slow")]), tmp_path)
    assert names(named_apart(on("cpu", "b", "fast"), tmp_path)) == ["b"]
    assert names(named_apart(on("cpu", "b", "slow"), tmp_path)) == ["b (slow)"]
    assert names(named_apart(on("cuda", "b on cuda", "slow"), tmp_path)) == ["b on cuda"]
    apart = named_apart(on("cpu", "a", "slow"), tmp_path)
    assert names(beside_published(apart, tmp_path, whole=False)) == ["a", "a (slow)"]
    assert names(beside_published(on("cpu", "c", "fast"), tmp_path, whole=True)) == ["a (slow)", "c"]


def test_a_line_has_one_look_in_all_panels_and_its_text_can_be_read() -> None:
    own = [{**row, "line": "other"} for row in rows()[:5]]
    with style():
        figure = figure_of(cells([*rows(), *own, *({**row, "line": "consensus-gossip [whole]"} for row in rows()[:5])]))
        assert figure is not None
        check_text(figure)
    training, execution, memory = (
        {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.get_lines()}
        for axes in figure.axes
    )
    assert len(training) == 1
    assert len(execution) == 4
    assert memory == execution
    assert training < execution
    assert ("#0072B2", "o", "-") in execution


def test_a_quantity_that_nobody_measured_has_no_panel(tmp_path: Path) -> None:
    untrained = [{**row, "iteration_seconds": None} for row in rows()]
    figure = figure_of(cells(untrained))
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == list(QUANTITIES.values())[1:]
    bare = [{**row, "step_microseconds": None, "peak_memory": None} for row in untrained]
    assert figure_of(cells(bare)) is None
    older = tmp_path / "figures" / "scaling.png"
    older.parent.mkdir()
    older.write_bytes(b"older")
    write_scale(cells(bare).assign(device="cpu"), tmp_path)
    assert not older.exists()


def test_quality_shows_what_it_took_or_how_close_it_came() -> None:
    reached = {"line": "a", "n_agents": 4, "status": "done", "seconds": 7.2, "steps": 215_040, "trainings": 1}
    close = {"line": "b", "n_agents": 4, "status": "out of time", "seconds": 90.0, "steps": 6_000_000, "trainings": 2}
    close |= {"best_gap": 0.157, "best_violation": 0.0224}
    failed = {"line": "c", "n_agents": 4, "status": "failed"}
    lines = quality_markdown([reached, {**reached, "n_agents": 8}, close, failed]).splitlines()
    assert lines[0] == "| method | 4 agents | 8 agents |"
    assert lines[2] == "| a | 7 s, 0.22 M steps | 7 s, 0.22 M steps |"
    assert lines[3] == "| b | out of time after 90 s, 6 M steps in 2 trainings: best 16 % above, 2.2 % over | – |"
    assert lines[4] == "| c | failed | – |"
