"""Figures of communication: drawn where networks were varied, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
from helpers.figures import check_text
from helpers.records import record
from matplotlib.axes import Axes

from accord.benchmark.figures.canvas import style
from accord.benchmark.figures.connectivity import (
    cells_of,
    draw_connectivity,
    draw_cost,
    draw_faults,
    draw_recovery,
)
from accord.benchmark.figures.suite import draw_figures
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.envs.network import Network

METRICS = {"consensus_error": 0.1, "consensus_error_bound": 0.4, "violation": 0.02, "violation_bound": 0.03}


def gossip(network: str, rounds: int = 1, mixing: str = "plain", seed: int = 0, budget: str = "hourly-0.35") -> Record:
    settings = {"dual": {"rounds": rounds, "mixing": mixing}}
    scenario = f"campus_seven/{network}/{budget}"
    numbers = METRICS | {"optimality_gap": 0.06, "messages": 2.0 * rounds}
    return record(seed=seed, scenario=scenario, settings=settings, **numbers)


SOUND = [gossip(name, rounds) for name in ("ring", "star", "two_groups") for rounds in (1, 4)]
FAULTY = [
    *(gossip(f"two_groups+delay-{hours}", mixing=mixing) for hours in (3, 6) for mixing in ("plain", "balanced")),
    *(gossip(f"two_groups+loss-{share}") for share in ("0.3", "0.9")),
]
EVENTS = [gossip("two_groups+dead_serving-2"), gossip("two_groups", budget="hourly-0.35~0.3")]


def test_a_cell_is_the_runs_that_differ_in_their_seed_alone() -> None:
    runs = [gossip("ring+loss-0.3", seed=seed) for seed in range(3)]
    other = record(scenario="campus_seven/ring/hourly-0.35", settings={"dual": {"lambda_max": 1.0}})
    (cell,) = cells_of([*runs, other, record("serve_now"), record("consensus-gossip", 9, "failed")])
    assert (cell.topology, cell.faults.loss, cell.rounds, len(cell.records)) == ("ring", 0.3, 1, 3)
    assert cell.gap == pytest.approx(1 - Network.build("ring", 7).sigma)
    assert cell.median("violation") == 0.02
    assert cell.median("recovery") is None


def test_what_was_varied_is_drawn() -> None:
    with style():
        connectivity, faults = draw_connectivity(SOUND), draw_faults([*SOUND, *FAULTY])
        cost, recovery = draw_cost(SOUND), draw_recovery([*SOUND, *EVENTS], arrays)
        for figure in (connectivity, faults, cost, recovery):
            assert figure is not None
            check_text(figure)
    assert connectivity is not None
    measured, bound = connectivity.axes[0].lines[:2]
    assert np.allclose(np.asarray(measured.get_ydata(), float), 0.1)
    assert np.allclose(np.asarray(bound.get_ydata(), float), 0.4)
    assert faults is not None
    assert [points(axes) for axes in faults.axes] == [[3], [3, 3]]


def points(axes: Axes) -> list[int]:
    """Of each line but the one of what is allowed."""
    return [len(np.asarray(line.get_xdata())) for line in axes.lines if line.get_marker() != "None"]


def test_a_figure_over_time_is_of_one_district() -> None:
    elsewhere = [gossip("two_groups", budget="hourly-0.4"), gossip("two_groups+dead_serving-2", budget="hourly-0.4")]

    def other(spec: RunSpec) -> dict[str, np.ndarray]:
        return {name: 100 * values for name, values in arrays(spec).items()} if "0.4" in spec.scenario else arrays(spec)

    with style():
        alone, beside = (draw_recovery([*SOUND, *EVENTS, *more], other) for more in ([], elsewhere))
    assert alone is not None
    assert beside is not None
    drawn = [[np.asarray(line.get_ydata(), float).tolist() for line in f.axes[0].lines] for f in (alone, beside)]
    assert drawn[0] == drawn[1]


def test_what_was_not_varied_is_not_drawn() -> None:
    assert draw_connectivity(FAULTY) is None
    assert draw_faults(SOUND) is None
    assert draw_cost([]) is None
    assert draw_recovery([*SOUND, *EVENTS], lambda spec: {}) is None
    assert draw_recovery(SOUND, arrays) is None


def arrays(spec: RunSpec) -> dict[str, np.ndarray]:
    return {"district_import_kwh": np.random.default_rng(0).uniform(10, 20, 24 * 30)}


def test_a_report_without_the_arrays_keeps_the_earlier_figure_over_time(tmp_path: Path) -> None:
    draw_figures([*SOUND, *EVENTS], tmp_path, arrays, lambda address: None)
    before = (tmp_path / "recovery.png").read_bytes()
    draw_figures([*SOUND, *EVENTS], tmp_path, lambda spec: {}, lambda address: None, keep=True)
    assert (tmp_path / "recovery.png").read_bytes() == before
    draw_figures([*SOUND, *EVENTS], tmp_path, lambda spec: {}, lambda address: None)
    assert not (tmp_path / "recovery.png").exists()
