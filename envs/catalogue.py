"""The catalogue: a scenario's name is its address, district / network / budget, and has one meaning.

    campus_seven/two_groups/hourly-0.35

The district's entry fixes everything else: data, hours, warm-up, price of delay, training hours, horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from envs.budgets import BudgetName, make_budgets, parse_budget
from envs.demand_response import DemandResponse
from envs.district import District
from envs.districts import make_district
from envs.errors import UsageError
from envs.linear_program import smallest_scale
from envs.network import Network
from envs.task import Budget

# Raised when an entry that has published results changes its meaning.
VERSION = 1


@dataclass(frozen=True)
class Scenario:
    """One address, resolved.

    Attributes:
        address: district / network / budget, as typed.
        district_name: First word.
        network_name: Second word.
        budget_name: Third word.
        district: The data behind the first word.
        level: The budget's level as a fraction of the uncontrolled peak.
    """

    address: str
    district_name: str
    network_name: str
    budget_name: str
    district: District
    level: float

    def task(self, device: str = "cpu") -> DemandResponse:
        """A fresh task."""
        return DemandResponse(self.district, self.budgets(), device=device)

    def network(self) -> Network:
        """A fresh network, its counters at zero."""
        return Network.build(self.network_name, self.district.n_agents)

    def budgets(self) -> tuple[Budget, ...]:
        """The shared budgets."""
        return budgets_of(self.district, parse_budget(self.budget_name), self.level)


@lru_cache(maxsize=64)
def resolve(address: str) -> Scenario:
    """The scenario of an address.

    Raises:
        UsageError: the address is not three words, or one of them has no meaning.
    """
    district_name, network_name, budget_name = _split(address)
    name = parse_budget(budget_name)
    district = make_district(district_name)
    Network.build(network_name, district.n_agents)
    level = name.level
    if name.relative:
        least = smallest_level(district_name, name.kind, name.intervals)
        if least <= 0:
            raise UsageError(
                f"address '{address}': every level of '{name.kind}' can be met, so none is the smallest; "
                "allowed: a fraction of the peak like 0.3"
            )
        level *= least
    return Scenario(address, district_name, network_name, budget_name, district, level)


@lru_cache(maxsize=64)
def smallest_level(district_name: str, kind: str, intervals: tuple[tuple[int, int], ...] = ()) -> float:
    """The least level of a kind of budget that can be met over a district's measured hours.

    Args:
        district_name: First word of an address.
        kind: One of `envs.budgets.KINDS`.
        intervals: Hours of the day [from, to) of each window.

    Raises:
        UsageError: no such district, or its linear program is too large to solve.
    """
    district = make_district(district_name)
    start, end = district.measured
    peaks = budgets_of(district, BudgetName(kind, 1.0, intervals=intervals), 1.0)
    return smallest_scale(district, peaks, start, end - start).scale


def budgets_of(district: District, name: BudgetName, level: float) -> tuple[Budget, ...]:
    """The budgets of a parsed name at `level`, a fraction of the uncontrolled peak."""
    feeders = []
    if name.kind == "feeder":
        members = [district.feeder == i for i in range(int(district.feeder.max()) + 1)]
        feeders = [(member, district.peak_of(member)) for member in members]
    return make_budgets(name, level, district.demand_peak, feeders)


def _split(address: str) -> tuple[str, str, str]:
    """The three words; the paths in `folder:PATH` and `edges:FILE` may hold slashes."""
    front, _, budget = address.rpartition("/")
    district, edges, file = front.partition("/edges:")
    network = f"edges:{file}"
    if not edges:
        district, _, network = front.rpartition("/")
    if not (district and network and budget) or ("/" in district and not district.startswith("folder:")):
        raise UsageError(
            f"address '{address}': must be district/network/budget, like campus_seven/two_groups/hourly-0.35"
        )
    return district, network, budget
