"""Exponents against powers of N that are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.scale_report import cells, fit, fits, markdown, write_scale

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
    later = fit(SIZES, [100 + n for n in SIZES], first=4096)
    assert later is not None
    assert later.first == 4096
    assert found.exponent < later.exponent < 1.0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        noisy = [n**1.3 * float(np.exp(0.1 * generator.standard_normal())) for n in SIZES]
        found = fit(SIZES, noisy, first=4)
        assert found is not None
        covered += found.low <= 1.3 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


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
    return [*linear, *square, stopped]


def test_table_and_files_say_where_a_line_grows_and_stops(tmp_path: Path) -> None:
    table = cells(rows())
    found = fits(table)
    assert set(found) == {("linear", "hour_seconds"), ("square", "iteration_seconds"), ("square", "hour_seconds")}
    assert found["linear", "hour_seconds"].exponent == pytest.approx(1)
    assert found["square", "hour_seconds"].exponent == pytest.approx(2)
    text = markdown(table)
    assert "| linear | – | 1.00 [1.00, 1.00] (16 to 64) | 2 | 10 | 64 | – |" in text
    assert "| 64 | 3 | 64 | 128: out of time in training |" in text
    files = write_scale(rows(), json.dumps({"cores": 2}), tmp_path)
    assert {path.name for path in files} == {
        "cells.csv",
        "fits.csv",
        "scale.md",
        "provenance.json",
        "scaling.png",
        "scaling.pdf",
    }
    assert all(path.stat().st_size > 0 for path in files)
    kept = pd.read_csv(tmp_path / "cells.csv")
    assert len(kept) == 11
    assert pd.read_csv(tmp_path / "fits.csv")["exponent"].round(6).tolist() == [1.0, 2.0, 2.0]
