"""A district over workers of a Ray cluster: the contract is that of local processes."""

from collections.abc import Iterator

import pytest
from helpers.sharded import Doomed, Numbers, assert_equal, sharded
from ray.cluster_utils import Cluster

from accord.benchmark.launch.workers import LostWorkerError, RayWorkers
from accord.envs.errors import UsageError


@pytest.fixture
def workers() -> Iterator[RayWorkers]:
    with RayWorkers(3) as those:
        yield those


@pytest.mark.parametrize("by", ["order", "graph"])
def test_equals_one_process_to_the_last_bit(by: str, workers: RayWorkers) -> None:
    assert_equal("synthetic_300/regular-4/hourly-0.35", workers, 30, by, rounds=2)


def test_a_worker_that_is_lost_is_one_line(workers: RayWorkers) -> None:
    many = sharded("synthetic_300/regular-4/average-0.3", workers, shard=Doomed)
    many.reset(0)
    with pytest.raises(LostWorkerError, match=r"^worker 0 of 3 was lost: "):
        many.run(30)


def test_a_mistake_is_told_as_it_is(workers: RayWorkers) -> None:
    with pytest.raises(UsageError, match=r"^share: -1; allowed: 0 or more$"):
        workers.begin(Numbers, [0, -1, 2])


def test_more_workers_than_a_cluster_has_cores_are_refused() -> None:
    small = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    with pytest.raises(UsageError, match="workers: 2 on a Ray cluster with 1 CPU; allowed: 1 to 1"):
        RayWorkers(2, small.address).__enter__()
    small.shutdown()


def test_a_cluster_that_does_not_answer_is_refused() -> None:
    with pytest.raises(UsageError, match="'localhost:1': no Ray cluster answers"), RayWorkers(2, "localhost:1"):
        pass
