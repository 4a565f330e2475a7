"""A district in one process and over several: what is compared, and objects that workers hold."""

import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection

import torch

from accord.baselines.consensus.chunked_rollout import FusedConsensus
from accord.baselines.consensus.controller import ConsensusController
from accord.baselines.consensus.sharded_rollout import Shard, ShardedConsensus, Share, Workers
from accord.baselines.registry import make_method
from accord.benchmark.launch import workers
from accord.envs.catalogue import resolve_district
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.network.shards import Swap

START = 1000
KEPT = ("lam", "nu", "imported", "waiting", "stored")


def untrained(scenario: DistrictScenario, rounds: int = 1) -> ConsensusController:
    """With a last layer of ordinary size, so that actions differ between agents, and steps that move multipliers."""
    generator = torch.Generator().manual_seed(0)
    settings = {"ppo": {"hidden": (32, 32)}, "dual": {"rounds": rounds, "alpha": 0.5}}
    controller = make_method("consensus-gossip", settings).build(scenario.task(), generator)
    assert isinstance(controller, ConsensusController)
    torch.nn.init.orthogonal_(controller.actors[0].body.layers[-1].weight, 1.0, generator=generator)
    return controller


def sharded(
    address: str, those: Workers, by: str = "order", rounds: int = 1, shard: type[Shard] = Shard
) -> ShardedConsensus:
    scenario = resolve_district(address)
    controller = untrained(scenario, rounds)
    return ShardedConsensus(scenario, controller.actors[0], controller.config.dual, those, by=by, shard=shard)


def alone(address: str, rounds: int = 1) -> tuple[FusedConsensus, Network]:
    scenario = resolve_district(address)
    controller, network = untrained(scenario, rounds), scenario.network()
    return FusedConsensus(scenario.task(), network, controller.actors[0], controller.config.dual), network


def assert_equal(address: str, those: Workers, hours: int, by: str = "order", rounds: int = 1) -> ShardedConsensus:
    """Every number of every agent is the same to the last bit, and what is counted as well."""
    (single, network), many = alone(address, rounds), sharded(address, those, by, rounds)
    with torch.inference_mode():
        single.reset(START)
        for _ in range(hours):
            single.step()
    many.reset(START)
    many.run(hours)
    for name in KEPT:
        expected = getattr(single.state, name)
        assert expected.std() > 0
        assert torch.equal(many.gather(name), expected), name
    traffic, ledger, same = many.traffic(), single.ledger(), many.ledger()
    assert (traffic.messages, traffic.bytes) == (network.messages, network.bytes)
    assert ledger is not None
    assert same is not None
    for term in ("level", "cut", "lifted", "talk"):
        torch.testing.assert_close(getattr(same, term), getattr(ledger, term), rtol=1e-12, atol=1e-12)
    return many


class Numbers:
    """Held by a worker: its share is its own number."""

    def __init__(self, share: int, swap: Swap) -> None:
        if share < 0:
            raise UsageError(f"share: {share}; allowed: 0 or more")
        self.number, self.swap = share, swap

    def times(self, factor: int) -> int:
        return factor * self.number

    def exchange(self, others: Mapping[int, list[int]]) -> dict[int, float]:
        """What those tell that it exchanges with: their own numbers."""
        heard = {other: torch.zeros(2) for other in others[self.number]}
        mine = torch.full((2,), float(self.number))
        self.swap(dict.fromkeys(others[self.number], mine), heard)
        return {other: float(told[0]) for other, told in heard.items()}

    def fail(self, which: int) -> int:
        if self.number == which:
            raise ValueError("this cannot be done")
        return self.number

    def die(self, which: int) -> None:
        """One ends while the others wait for it."""
        if self.number == which:
            os.kill(os.getpid(), signal.SIGKILL)
        self.swap({}, {which: torch.zeros(2)})

    def rest(self) -> None:
        """Until its process ends."""
        signal.pause()


class Doomed(Shard):
    """The process of the first shard ends in the middle of the hours."""

    def __init__(self, share: Share, swap: Swap) -> None:
        super().__init__(share, swap)
        self._first = share.part.shard == 0

    def run(self, hours: int) -> None:
        super().run(hours // 2)
        if self._first:
            os.kill(os.getpid(), signal.SIGKILL)
        super().run(hours)


def left_alone(channel: Connection) -> None:
    """A process that is killed while its worker is at work; it tells that one's number."""
    workers.PRELOAD = []  # what the one worker imports is not imported twice
    with workers.LocalWorkers(1) as those:
        those.begin(Numbers, [0])
        those._send(0, ("call", "rest"))
        channel.send(those.pids[0])
        os.kill(os.getpid(), signal.SIGKILL)
