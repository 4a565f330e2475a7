"""About how long runs will take, by what records of the same method on the same kind of scenario took."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accord.baselines.registry import REFERENCES
from accord.benchmark.launch.start import Planned
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import RunSpec
from accord.envs.catalogue import resolve
from accord.envs.optimum.linear_program import LARGEST_APART
from accord.envs.scenario import Hours

START = 3.0  # seconds of a process
# Seconds of the linear programme per building and measured hour, between what it takes on campus_seven/…/hourly-0.35
# (0.7e-4) and on homes_17/…/hourly-0.27 (6e-4, whose programme HiGHS takes longer over). No record has them. Measured:
#   python -m timeit -n1 -r1 -s 'from accord.envs.catalogue import resolve as r; s = r("ADDRESS")' 's.optimum()'
PROGRAMME = 4e-4


@dataclass(frozen=True)
class Row:
    """What one method has left to do.

    Attributes:
        method: Its name.
        runs: Asked for.
        stored: Of these, finished and of the code that is here.
        trainings: Policies to train.
        seconds: On one core, trainings and runs; None where no record says how long a part of it takes.
    """

    method: str
    runs: int
    stored: int
    trainings: int
    seconds: float | None


@dataclass(frozen=True)
class Forecast:
    """What a launch would do.

    Attributes:
        rows: By method, in the order asked.
        optima: Linear programmes to solve.
        optima_seconds: On one core.
        jobs: Pieces of work, each in a process.
        basis: How many records the times are by, and whose processors they are of.
    """

    rows: tuple[Row, ...]
    optima: int
    optima_seconds: float
    jobs: int
    basis: str

    @property
    def runs(self) -> int:
        """All that were asked for."""
        return sum(row.runs for row in self.rows)

    @property
    def stored(self) -> int:
        """Those that are finished."""
        return sum(row.stored for row in self.rows)


class Times:
    """What records took, by method, kind of scenario and device.

    A kind is the first word of an address: the district, or the family of tasks with its size.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        """Set up.

        Args:
            records: Of any suite, wherever they were made.
        """
        self._by_kind: dict[tuple[str, str, str], list[Record]] = {}
        self._used: dict[str, str] = {}  # a record's digest to its processor
        for record in records:
            if record.status == "done":
                spec = record.spec
                self._by_kind.setdefault((spec.method, kind_of(spec.scenario), spec.device), []).append(record)

    @property
    def basis(self) -> str:
        """The records that were looked at."""
        if not self._used:
            return "no record"
        where = ", ".join(sorted(set(self._used.values()))) or "an unknown processor"
        return f"{len(self._used)} {'record' if len(self._used) == 1 else 'records'} of {where}"

    def training(self, spec: RunSpec) -> float | None:
        """Seconds of a run's training, no more than its limit; None where no record of its kind was trained."""
        assert spec.effort is not None
        speed = self._median(spec, spec.trained_on or spec.scenario, "steps_per_second")
        return None if not speed else min(spec.effort.steps / speed, spec.effort.seconds)

    def run(self, spec: RunSpec) -> float | None:
        """Seconds of a run beside its training; None where no record of its kind was rolled out."""
        if spec.method in REFERENCES:
            return START
        step = self._median(spec, spec.scenario, "step_microseconds")
        # What a method without learning spends before the first step, on tuning itself.
        before = 0.0 if spec.effort is not None else self._median(spec, spec.scenario, "train_seconds") or 0.0
        return None if step is None else START + before + 1e-6 * step * _agent_steps(spec.scenario)

    def _median(self, spec: RunSpec, address: str, metric: str) -> float | None:
        records = self._by_kind.get((spec.method, kind_of(address), spec.device), [])
        found = [record.metrics.get(metric) for record in records]
        values = [value for value in found if isinstance(value, (int, float)) and value == value]
        if not values:
            return None
        self._used |= {record.spec.digest: record.provenance.cpu for record in records}
        return statistics.median(values)


def kind_of(address: str) -> str:
    """The first word of an address."""
    return address.partition("/")[0]


def forecast_of(specs: Sequence[RunSpec], work: Sequence[Planned], times: Times) -> Forecast:
    """What a launch of runs would do, and about how long it takes.

    Args:
        specs: The runs.
        work: What of them is not done yet.
        times: What records took.
    """
    asked, left, trainings = Counter(s.method for s in specs), Counter[str](), Counter[str]()
    seconds: dict[str, float | None] = dict.fromkeys(asked, 0.0)
    optima = [one for one in work if one.kind == "optimum"]
    for one in (one for one in work if one.kind != "optimum"):
        method = one.spec.method
        (trainings if one.kind == "training" else left)[method] += 1
        took, before = (times.training if one.kind == "training" else times.run)(one.spec), seconds[method]
        seconds[method] = None if took is None or before is None else before + took
    rows = tuple(Row(m, n, n - left[m], trainings[m], seconds[m]) for m, n in asked.items())
    return Forecast(rows, len(optima), sum(map(_programme, optima)), len(work), times.basis)


def _agent_steps(address: str) -> int:
    """Steps of a rollout, counted for every agent and copy."""
    scenario = resolve(address)
    if isinstance(scenario.protocol, Hours):
        return scenario.n_agents * (scenario.protocol.measured[1] - scenario.protocol.warmup)
    return scenario.n_agents * scenario.task().spec.horizon * scenario.protocol.count


def _programme(work: Planned) -> float:
    scenario = resolve(work.spec.scenario)
    assert isinstance(scenario.protocol, Hours)
    first, last = scenario.protocol.measured
    size = scenario.n_agents * (last - first)
    return START + PROGRAMME * size * (size <= LARGEST_APART)  # beyond it is refused, or buildings are alike
