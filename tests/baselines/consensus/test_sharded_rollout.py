"""A district over several processes against the same in one."""

from collections.abc import Iterator

import psutil
import pytest
import torch
from helpers.sharded import Doomed, assert_equal, sharded

from accord.benchmark.launch.workers import LocalWorkers, LostWorkerError
from accord.envs.catalogue import resolve_district
from accord.envs.errors import UsageError
from accord.envs.network.shards import partition

HOURS, ROUNDS, SHARDS = 30, 3, 3


@pytest.fixture
def workers() -> Iterator[LocalWorkers]:
    with LocalWorkers(SHARDS) as those:
        yield those


@pytest.mark.parametrize("by", ["order", "graph"])
@pytest.mark.parametrize("place", ["ring/average-0.3", "regular-4/average-0.3", "regular-4/hourly-0.35"])
def test_equals_one_process_to_the_last_bit(place: str, by: str, workers: LocalWorkers) -> None:
    address = f"synthetic_3001/{place}" if place.startswith("ring") else f"synthetic_3000/{place}"
    traffic = assert_equal(address, workers, HOURS, by, ROUNDS).traffic()
    scenario = resolve_district(address)
    owner = partition(scenario.links, scenario.n_agents, SHARDS, by).tolist()
    cut = sum(owner[first] != owner[second] for first, second in scenario.links.tolist())
    assert traffic.crossed_messages == 2 * cut * ROUNDS * HOURS
    assert 0 < traffic.crossed_bytes <= traffic.crossed_messages * 4 * len(scenario.budgets())


def test_equals_one_process_at_a_hundred_thousand_buildings(workers: LocalWorkers) -> None:
    assert_equal("synthetic_100000/regular-4/average-0.3", workers, 24)


def test_multipliers_stay_where_the_plant_is_reset(workers: LocalWorkers) -> None:
    many = sharded("synthetic_100/ring/average-0.3", workers)
    many.reset(0)
    many.run(5)
    lam = many.gather("lam")
    many.reset(24)
    assert torch.equal(many.gather("lam"), lam)
    assert not many.gather("waiting").any()
    assert many.traffic().messages == 0


def test_the_end_of_a_worker_is_one_line_and_the_end_of_all(workers: LocalWorkers) -> None:
    many = sharded("synthetic_3000/regular-4/average-0.3", workers, shard=Doomed)
    many.reset(0)
    pids = workers.pids
    with pytest.raises(LostWorkerError, match=r"^worker 0 of 3 was lost: its process ended with signal 9$"):
        many.run(HOURS)
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.parametrize(
    ("address", "by", "message"),
    [
        ("synthetic_2/complete/average-0.3", "order", "shards: 3 for 2 agents; allowed: 1 to 2"),
        ("synthetic_9/ring/average-0.3", "edges", "partition: 'edges' is unknown; allowed: order, graph"),
        (
            "synthetic_9/ring+loss-0.3/average-0.3",
            "order",
            "shards know no faults and no change in the middle; allowed: synthetic_9/ring/average-0.3",
        ),
        ("synthetic_9/ring/average-0.3~0.2", "order", "shards know no faults and no change in the middle"),
        ("homes_17/ring/feeder-0.3", "order", "budgets of some of the agents cannot be rolled out in chunks"),
    ],
)
def test_what_cannot_be_spread_is_refused_in_one_line(
    address: str, by: str, message: str, workers: LocalWorkers
) -> None:
    with pytest.raises(UsageError, match=message):
        sharded(address, workers, by)
