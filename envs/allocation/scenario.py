"""Scenarios of multi-resource allocation: `allocation_NxW/radius-C/VARIANT`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

from accord.envs.allocation.dynamics import Allocation, ResourceAllocation, Variant
from accord.envs.errors import UsageError
from accord.envs.network import MovingNetwork, Network
from accord.envs.scenario import EpisodicScenario, Family
from accord.envs.spelling import number_of

MOST_AGENTS, MOST_RESOURCES = 1_000, 100  # each agent is held against every other, in all episodes at once
# Where some agents are near, some are hops away, and some are out of reach of all others.
AUDITED_AT = "allocation_15x2/radius-0.5/steady"


@dataclass(frozen=True)
class AllocationScenario(EpisodicScenario):
    """Agents talk to those who are near."""

    audited_at: ClassVar[str] = AUDITED_AT

    def network(self) -> Network:
        """Links that follow the agents."""
        return MovingNetwork(self.n_agents)


def resolve_allocation(address: str) -> AllocationScenario:
    """The scenario of an address `allocation_NxW/radius-C/VARIANT`; see `parse`."""
    setting = parse(address)
    return AllocationScenario(address, lambda device: ResourceAllocation(setting, device))


def parse(address: str) -> Allocation:
    """What an address `allocation_NxW/radius-C/VARIANT` says.

    Raises:
        UsageError: it has no meaning.
    """
    match = re.fullmatch(
        r"allocation_([1-9][0-9]{0,3})x([1-9][0-9]{0,2})/radius-([^/]+)/(steady|jumps|discharging|failures)", address
    )
    radius = number_of(match[3], f"address '{address}'") if match else None
    n, w = (int(match[1]), int(match[2])) if match else (0, 0)
    if match is None or not 2 <= n <= MOST_AGENTS or w > MOST_RESOURCES or radius is None or radius <= 0:
        raise UsageError(
            f"address '{address}': allowed: allocation_NxW/radius-C/VARIANT with N from 2 to {MOST_AGENTS} agents, W "
            f"up to {MOST_RESOURCES} resources, C above 0 and VARIANT steady, jumps, discharging or failures, "
            "like allocation_10x2/radius-1/jumps"
        )
    setting = Allocation(n, w, radius, match[4])  # type: ignore[arg-type]
    if setting.variant == "jumps" and setting.consumers == 1:
        raise UsageError(f"address '{address}': demand jumps between consumers, and there is one; allowed: N from 4")
    return setting


def _words() -> Sequence[tuple[str, str]]:
    return [
        (f"allocation_NxW/radius-C/{', '.join(get_args(Variant))}", "N agents, W resources, talk within C half squares")
    ]


ALLOCATION = Family(resolve_allocation, _words, ("allocation_4x2/radius-1/jumps", AUDITED_AT), episodic=True)
