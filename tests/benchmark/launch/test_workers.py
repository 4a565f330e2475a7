"""Processes that work together, and what becomes of them where one does not."""

import multiprocessing as mp
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from helpers.sharded import Numbers, left_alone

from accord.benchmark.launch.workers import LocalWorkers, LostWorkerError
from accord.envs.errors import UsageError

LONG = 120  # seconds that nothing here takes


@pytest.fixture
def workers() -> Iterator[LocalWorkers]:
    with LocalWorkers(3) as those:
        yield those


def test_each_holds_its_own_and_they_exchange(workers: LocalWorkers) -> None:
    pids = workers.pids
    workers.begin(Numbers, [0, 1, 2])
    assert workers.call("times", 10) == [0, 10, 20]
    chain = {0: [1], 1: [0, 2], 2: [1]}
    assert workers.call("exchange", chain) == [{1: 1.0}, {0: 0.0, 2: 2.0}, {1: 1.0}]
    workers.close()
    assert not any(map(psutil.pid_exists, pids))


def test_a_mistake_is_told_as_it_is_and_ends_all(workers: LocalWorkers) -> None:
    pids = workers.pids
    with pytest.raises(UsageError, match=r"^share: -1; allowed: 0 or more$"):
        workers.begin(Numbers, [0, -1, 2])
    assert not any(map(psutil.pid_exists, pids))


def test_an_error_is_one_line_that_names_the_worker(workers: LocalWorkers) -> None:
    workers.begin(Numbers, [0, 1, 2])
    with pytest.raises(RuntimeError, match=r"^worker 1: ValueError: this cannot be done \(sharded.py:\d+\)$"):
        workers.call("fail", 1)


def test_a_worker_that_ends_ends_all_in_one_line(workers: LocalWorkers) -> None:
    workers.begin(Numbers, [0, 1, 2])
    pids = workers.pids
    with pytest.raises(LostWorkerError, match=r"^worker 2 of 3 was lost: its process ended with signal 9$"):
        workers.call("die", 2)
    assert not any(map(psutil.pid_exists, pids))


def test_workers_end_with_the_process_that_started_them(workers: LocalWorkers) -> None:
    context = mp.get_context("forkserver")  # it runs by now, with all that is imported
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=left_alone, args=(theirs,))
    process.start()
    theirs.close()
    pid = ours.recv()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(LONG)


def test_no_workers_are_refused() -> None:
    with pytest.raises(UsageError, match="workers: 0; allowed: 1 or more"):
        LocalWorkers(0)
