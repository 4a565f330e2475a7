"""Records made by hand, for tests of what is worked out from them."""

from typing import Any

from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.record import Record, Status
from accord.benchmark.records.store import Store
from accord.benchmark.specs.run import EffortSpec, make_run

SCENARIO = "paper_seven/ring/average-0.27"
FEASIBLE: dict[str, Value] = {
    "feasible": True,
    "verdict": "feasible",
    "oracle": "feasible",
    "oracle_objective": 3.2,
    "n_agents": 7,
}
POSTPONES = FEASIBLE | {"feasible": False, "verdict": "postpones"}


def record(
    method: str = "consensus-gossip",
    seed: int = 0,
    status: Status = "done",
    *,
    scenario: str = SCENARIO,
    steps: int | None = None,
    settings: dict[str, Any] | None = None,
    **metrics: Value,
) -> Record:
    effort = EffortSpec(steps=steps) if steps else None
    return Record(
        spec=make_run(scenario, method, seed, suite="hand", effort=effort, settings=settings),
        status=status,
        error="" if status == "done" else "ValueError: no",
        metrics=metrics,
        provenance=provenance_here(),
    )


def numbers(record: Record, store: Store) -> dict[str, object]:
    """All that a run measured without a clock, to the last bit, and what its policy learned."""
    clocked = {name for name, entry in METRICS.items() if entry.clocked}
    metrics = {name: value for name, value in record.metrics.items() if name not in clocked}
    arrays = {name: (array.shape, array.tobytes()) for name, array in store.traces(record.spec).items()}
    arrays.pop("curve_seconds", None)
    policy = store.policy(record.policy_name).finished() if record.policy else None
    learned = policy and {name: {k: v.tolist() for k, v in part.items()} for name, part in policy["state"].items()}
    return {"status": record.status, "identity": record.identity, **metrics, **arrays, "learned": learned}


def seeds(objectives: list[float], method: str = "consensus-gossip", **others: Any) -> list[Record]:
    """Feasible runs with these objectives, seeds 0 on."""
    return [record(method, seed, objective=value, **FEASIBLE, **others) for seed, value in enumerate(objectives)]
