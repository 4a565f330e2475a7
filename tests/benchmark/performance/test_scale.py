"""The suite `scale` on small districts: real processes, real limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import accord.benchmark.performance.cells
from accord.benchmark.performance.cells import Row
from accord.benchmark.performance.scale import Line, ScaleSuite, load_scale, run_scale
from accord.benchmark.performance.scale_cell import measure
from accord.envs.errors import UsageError
from accord.envs.network.topologies import build_edges

SMALL = {"ppo.hidden": [8], "copies": 2}
SUITE = ScaleSuite(
    agents=(6, 8),
    seconds=3_600,
    memory_gib=8,
    at_least=0.02,
    copies=1,
    budget="average-0.3",
    network="regular-4",
    lines={
        "gossip": Line(method="consensus-gossip", chunked=True, settings=SMALL),
        "spread": Line(method="consensus-gossip", shards=2, settings=SMALL),
        "rule": Line(method="serve_now"),
        "mappo": Line(method="mappo-augmented", settings={"ppo.hidden": [8]}),
        "wrong": Line(method="mappo-augmented", chunked=True, settings={"ppo.hidden": [8]}),
    },
)


@pytest.fixture(scope="module", autouse=True)
def undisturbed() -> Iterator[None]:
    """Other tests may run beside these: what is measured is kept all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accord.benchmark.performance.cells, "LEAST_SHARE", 0.0)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def rows(root: Path) -> list[Row]:
    return [
        *run_scale(SUITE, ["gossip"], [], root, lambda line: None),
        *run_scale(SUITE, ["rule"], [6], root, lambda line: None),
    ]


def test_every_cell_has_its_costs(rows: list[Row]) -> None:
    assert [(row["line"], row["n_agents"], row["status"]) for row in rows] == [
        ("gossip", 6, "done"),
        ("gossip", 8, "done"),
        ("rule", 6, "done"),
    ]
    for row in rows:
        parts = ("observe", "policy", "dynamics", "dual", "messages")
        split = sum(row[f"{part}_microseconds"] for part in parts)
        assert 0 < split <= row["step_microseconds"]
        assert row["peak_memory"] > 0
    gossip, rule = rows[0], rows[2]
    assert gossip["iteration_samples"] == 2 * 16 * 24  # copies, agents and hours of an iteration, whatever N
    assert gossip["messages"] == pytest.approx(4)
    assert 0 < gossip["products_microseconds"] < gossip["step_microseconds"]
    assert gossip["parameters"] > 0
    assert rule["parameters"] == rule["messages"] == 0
    assert "iteration_seconds" not in rule


def test_over_processes_what_crosses_between_them_is_told(tmp_path: Path) -> None:
    row = run_scale(SUITE, ["spread"], [8], tmp_path, lambda line: None)[0]
    assert (row["status"], row["shards"], row["partition"]) == ("done", 2, "order")
    edges = build_edges("regular-4", 8).tolist()
    crossing = [(a, b) for pair in edges for a, b in (pair, pair[::-1]) if (a < 4) != (b < 4)]
    assert row["messages"] == pytest.approx(4)
    assert row["crossed_messages"] == pytest.approx(len(crossing) / 8)
    assert row["crossed_bytes"] == pytest.approx(4 * len({a for a, _ in crossing}) / 8)
    split = sum(row[f"{part}_microseconds"] for part in ("observe", "policy", "dynamics", "dual", "messages"))
    assert 0 < row["exchange_microseconds"] < split <= row["step_microseconds"]
    assert row["peak_memory"] > 0
    assert "iteration_seconds" not in row


def test_a_finished_cell_is_not_measured_again(rows: list[Row], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(accord.benchmark.performance.cells, "_watched")
    again = run_scale(SUITE, ["gossip", "rule"], [6], root, lambda line: None)
    assert all(row["fresh"] for row in rows)
    assert again == [{**row, "fresh": False} for row in rows if row["n_agents"] == 6]


def test_methods_that_train_on_the_whole_task_get_copies_of_all_agents(tmp_path: Path) -> None:
    row = run_scale(SUITE, ["mappo"], [6], tmp_path, lambda line: None)[0]
    assert row["status"] == "done"
    assert row["iteration_samples"] % 6 == 0
    assert row["iteration_seconds"] >= row["update_seconds"] > 0
    assert row["sample_microseconds"] == pytest.approx(1e6 * row["iteration_seconds"] / row["iteration_samples"])
    assert row["trained_parameters"] > row["parameters"] > 0  # the critic's as well


@pytest.mark.parametrize(
    ("limits", "status", "stopped_in"),
    [({"seconds": 0.01}, "out of time", "training"), ({"memory_gib": 0.05}, "out of memory", "setup")],
)
def test_a_line_ends_at_its_first_limit(limits: dict, status: str, stopped_in: str, tmp_path: Path) -> None:
    told: list[str] = []
    rows = run_scale(SUITE.model_copy(update=limits), ["mappo"], [], tmp_path, told.append)
    assert [(row["n_agents"], row["status"], row["stopped_in"]) for row in rows] == [(6, status, stopped_in)]
    assert told[0].startswith(f"mappo, 6 agents: {status} in {stopped_in}")
    assert "step_microseconds" not in rows[0]


def test_other_code_is_measured_again(root: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accord.benchmark.performance.cells, "digest_of_sources", lambda: "changed")
    assert run_scale(SUITE, ["rule"], [6], root, lambda line: None)[0]["fresh"]


def test_a_cell_that_something_held_up_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accord.benchmark.performance.cells, "LEAST_SHARE", 0.9)
    monkeypatch.setattr(
        accord.benchmark.performance.cells, "_watched", lambda *_: {"status": "done", "training_busy": 0.5}
    )
    told: list[str] = []
    for _ in range(2):
        assert run_scale(SUITE, ["rule"], [6], tmp_path, told.append)[0]["fresh"]
    assert told[0].endswith("worth little and not kept, since only 50 % of a core was ours")


def test_a_mistake_is_told_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="key 'chunked': only consensus-gossip with its mean actions"):
        run_scale(SUITE, ["wrong"], [], tmp_path, lambda line: None)
    with pytest.raises(UsageError, match="key 'shards': only consensus-gossip with its mean actions"):
        measure(SUITE.cell(Line(method="serve_now", shards=2), 6), lambda now, numbers: None)
    assert not list(tmp_path.rglob("*.json"))
    with pytest.raises(UsageError, match="LINES: 'gosip' is not in the suite; allowed: gossip, spread"):
        run_scale(SUITE, ["gosip"], [], tmp_path, lambda line: None)


def test_the_suite_that_comes_along_can_be_read() -> None:
    suite = load_scale()
    assert suite.agents[-1] == 2**20
    assert {line.method for line in suite.lines.values()} >= {"consensus-gossip", "mappo-augmented", "qmix-augmented"}
    assert suite.cell(suite.lines["rule_based"], 4).scenario == "synthetic_4-week/complete/average-x1.05"
    assert suite.cell(suite.lines["consensus-gossip [2 shards]"], 8).shards == 2
    hourly = suite.cell(suite.lines["consensus-gossip [hourly]"], 8)
    assert hourly.scenario == "synthetic_8-week/regular-4/hourly-x1.05"
