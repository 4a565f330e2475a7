"""Small cells of the suite `networks`: no bound of theory is passed, and a report that sees one passed says so."""

import pytest
from helpers.records import record

from accord.benchmark.launch.runner import execute
from accord.benchmark.records.store import Store
from accord.benchmark.report.bounds import broken_bounds
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run

CELLS = [  # faults, mixing, rounds
    ("", "plain", 1),
    ("", "chebyshev", 3),
    ("+loss-0.3", "plain", 2),
    ("+one_way_loss-0.3", "plain", 1),
    ("+delay-3", "balanced", 1),
    ("+rounding-0.1", "balanced", 2),
    ("+every-6", "plain", 1),
    ("+switching-star", "plain", 1),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("cells"))


@pytest.mark.parametrize(("faults", "mixing", "rounds"), CELLS)
def test_no_cell_passes_a_bound(store: Store, faults: str, mixing: str, rounds: int) -> None:
    address = f"campus_seven/two_groups{faults}/hourly-0.35"
    dual = {"unit": "share", "alpha": 0.12, "tighten": 0.03, "lambda_max": 16.0, "mixing": mixing, "rounds": rounds}
    spec = resolve_run(make_run(address, "price_taker", 0, settings={"dual": dual}))
    found = execute(spec, store)
    assert found.status == "done", found.error
    assert 0 < found.summary["consensus_error"] < found.summary["consensus_error_bound"]
    assert found.summary["ledger_error"] < 1e-6
    assert broken_bounds([found]) == []


def test_what_is_above_its_bound_is_named() -> None:
    sound = record(consensus_error=0.1, consensus_error_bound=0.1, violation=0.0, violation_bound=0.0, ledger_error=0.0)
    apart = record(seed=1, consensus_error=0.11, consensus_error_bound=0.1)
    over = record(seed=2, violation=0.02, violation_bound=0.01, ledger_error=float("nan"))
    assert broken_bounds([sound, record(seed=3)]) == []
    assert broken_bounds([sound, apart, over]) == [
        f"{apart.spec.label}: consensus_error 0.11 is above consensus_error_bound 0.1",
        f"{over.spec.label}: the ledger of violation is nan off; allowed: 1e-06",
        f"{over.spec.label}: violation 0.02 is above violation_bound 0.01",
    ]
