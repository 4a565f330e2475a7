"""Execution of the consensus method over several processes of this machine, in a cell of the suite `scale`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psutil
from torch import Tensor

from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.consensus.sharded_rollout import Shard, ShardedConsensus, Share
from accord.benchmark.launch.workers import LocalWorkers
from accord.benchmark.machine import memory_peak, reset_memory_peak
from accord.benchmark.performance.cells import MEBIBYTE, Numbers, Tell
from accord.benchmark.performance.stages import FEWEST, MOST_STEPS, STAGES, by_stage
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.network.shards import Swap


class MeasuredShard(Shard):
    """A shard that tells what it costs."""

    def __init__(self, share: Share, swap: Swap) -> None:
        """See `Shard`."""

        def timed(told: Mapping[int, Tensor], heard: Mapping[int, Tensor]) -> None:
            began = time.perf_counter()
            swap(told, heard)
            self._exchanging += time.perf_counter() - began

        self._exchanging = 0.0
        super().__init__(share, timed)
        reset_memory_peak()

    def measure(self, hours: int) -> dict[str, Any]:
        """Run so many hours.

        Returns:
            `seconds` by stage, `exchanging` (seconds of these in which it gave, took or waited), `busy` (processor time
            over wall-clock time of all else), `memory` (most that was resident, MiB) and `state_bytes`.
        """
        self._exchanging, self.rollout.seconds = 0.0, dict.fromkeys(STAGES, 0.0)
        began, used = time.perf_counter(), time.thread_time()
        self.run(hours)
        spent, used = time.perf_counter() - began, time.thread_time() - used
        return {
            "seconds": self.rollout.seconds,
            "exchanging": self._exchanging,
            "busy": used / (spent - self._exchanging),
            "memory": memory_peak(),
            "state_bytes": self.rollout.state.bytes_per_agent,
        }


def execute_in_shards(
    scenario: DistrictScenario,
    controller: ConsensusController,
    shards: int,
    by: str,
    seconds: float,
    began: float,
    tell: Tell,
) -> Numbers:
    """Measure hours of a district over some processes.

    Args:
        scenario: The district.
        controller: Its policy, and how multipliers move.
        shards: How many processes.
        by: How agents are spread, see `ShardedConsensus`.
        seconds: That are measured, where that is enough for some hours.
        began: When setting up began.
        tell: Hears which processes there are, and when they are set up.

    Returns:
        As of execution in one process; `peak_memory` is that of all workers together. Beside it what crossed between
        them.
    """
    first, agents = scenario.district.measured[0], scenario.n_agents
    with LocalWorkers(shards) as workers:
        tell("setup", {"workers": workers.pids})
        empty = sum(psutil.Process(pid).memory_info().rss for pid in workers.pids) / MEBIBYTE
        rollout = ShardedConsensus(
            scenario, controller.actors[0], controller.config.dual, workers, by=by, shard=MeasuredShard
        )
        tell("execution", {"setup_seconds": time.perf_counter() - began})
        rollout.reset(first)
        rollout.run(1)  # warms up
        began = time.perf_counter()
        rollout.run(FEWEST)
        hour = (time.perf_counter() - began) / FEWEST
        hours = max(FEWEST, min(MOST_STEPS, int(seconds / hour)))
        rollout.reset(first)
        began = time.perf_counter()
        found = workers.call("measure", hours)
        spent = time.perf_counter() - began
        traffic = rollout.traffic()
    steps, held = hours * agents, [one["memory"] for one in found]
    mean = {stage: sum(one["seconds"][stage] for one in found) / shards for stage in STAGES}
    return {
        "shards": shards,
        "partition": by,
        "step_microseconds": 1e6 * spent / steps,
        "exchange_microseconds": 1e6 * sum(one["exchanging"] for one in found) / shards / steps,
        "messages": traffic.messages / steps,
        "bytes": traffic.bytes / steps,
        "crossed_messages": traffic.crossed_messages / steps,
        "crossed_bytes": traffic.crossed_bytes / steps,
        "execution_busy": min(one["busy"] for one in found),
        "state_bytes": found[0]["state_bytes"],
        "peak_memory": None if None in held else sum(held) - empty,
        **by_stage(mean, steps),
    }
