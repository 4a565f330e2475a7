"""Scenarios of demand response: an address is district / network / budget, and the district fixes everything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from accord.envs.demand_response.budgets import KINDS, TARIFF, BudgetName, make_budgets, parse_budget
from accord.envs.demand_response.dynamics import DemandResponse
from accord.envs.districts.district import HOURS, District
from accord.envs.districts.named import FOLDER, make_district, named_districts
from accord.envs.errors import UsageError
from accord.envs.network import FaultyNetwork, Network
from accord.envs.network.faults import WORDS, parse_faults, split_faults
from accord.envs.network.topologies import EDGES, TOPOLOGIES, build_edges
from accord.envs.optimum.linear_program import Certificate, smallest_scale, solve
from accord.envs.scenario import Bound, Family, Hours, Infeasible, Scales, Scenario
from accord.envs.task import Budget

TARIFF_HOURS = 12  # by which a changed tariff runs late


@dataclass(frozen=True)
class DistrictScenario(Scenario):
    """Demand response in a district.

    Attributes:
        district_name: First word.
        network_name: Second word.
        budget_name: Third word.
        district: The data behind the first word.
        level: The budget's level as a fraction of the uncontrolled peak.
        before: What held until the measured hours began, where the address names a change; policies are
            trained on it, and the warm-up runs on it.
    """

    district_name: str
    network_name: str
    budget_name: str
    district: District
    level: float
    before: DistrictScenario | None = None

    uncontrolled: ClassVar[str] = "serve_now"

    @property
    def n_agents(self) -> int:
        """N."""
        return self.district.n_agents

    @property
    def digest(self) -> str:
        """SHA-256 over the district's numbers, hex."""
        return self.district.digest

    def task(self, device: str = "cpu") -> DemandResponse:
        """A fresh task."""
        return DemandResponse(self.district, self.budgets(), device=device)

    def network(self) -> Network:
        """A fresh network, its counters at zero."""
        _, words = split_faults(self.network_name)
        if not words:
            return Network(self.links, self.district.n_agents, self.network_name)
        faults = parse_faults(words, f"network '{self.network_name}'")
        return FaultyNetwork(self.links, self.district.n_agents, self.network_name, faults)

    @cached_property
    def links(self) -> Tensor:
        """Each undirected link once, [E, 2].

        Read and drawn once: a file of edges that changes while a run goes on changes the next one.
        """
        return build_edges(split_faults(self.network_name)[0], self.district.n_agents)

    def budgets(self) -> tuple[Budget, ...]:
        """The shared budgets."""
        return budgets_of(self.district, parse_budget(self.budget_name), self.level)

    @property
    def protocol(self) -> Hours:
        """The district's."""
        district = self.district
        return Hours(district.training, district.warmup, district.measured, district.in_sample)

    @property
    def trained_on(self) -> DistrictScenario:
        """What held before a change, over a network without faults; itself without either."""
        return self.sound.before or self.sound

    @cached_property
    def sound(self) -> DistrictScenario:
        """The same over a network without faults; itself where it has none."""
        topology, words = split_faults(self.network_name)
        if not words:
            return self
        address = f"{self.district_name}/{topology}/{self.budget_name}"
        before = None if self.before is None else self.before.sound
        return replace(self, address=address, network_name=topology, before=before)

    def over(self, hours: Hours) -> DistrictScenario:
        """The scenario, as before any change, trained and measured on other hours."""
        plain = self.trained_on
        return replace(plain, district=replace(plain.district, **asdict(hours)))

    @cached_property
    def validation(self) -> DistrictScenario:
        """The same scenario measured on the last of its training hours."""
        warmup, first, end = self.district.validation
        return self.over(replace(self.protocol, warmup=warmup, measured=(first, end)))

    @property
    def scales(self) -> Scales:
        """Uncontrolled peak in kWh, level, and the highest tariff of the calendar in $/kWh."""
        return Scales(self.district.demand_peak, self.level, float(self.district.price.max()))

    def optimum(self) -> Bound | Infeasible:
        """The linear program over the measured hours."""
        start, end = self.district.measured
        found = solve(self.district, self.budgets(), start, end - start)
        if isinstance(found, Certificate):
            return Infeasible(found.weights, found.excess, found.scale * self.level)
        cost, optima = None, found.optima
        if self.district.delay_price == 0:
            cost = found.objective
        elif optima is not None:
            cost = optima.least_cost()
        peak = None if optima is None else optima.least_import_peak()
        return Bound(found.objective, found.multipliers, cost, found.imports, found.gap, peak)

    @property
    def comparison_key(self) -> dict[str, Any]:
        """The network does not matter to a linear program."""
        return {"district": self.district.digest, "budget": self.budget_name}


def resolve_district(address: str) -> DistrictScenario:
    """The scenario of a district's address.

    Raises:
        UsageError: the address is not three words, or one of them has no meaning.
    """
    district_name, network_name, budget_name = _split(address)
    name = parse_budget(budget_name)
    district = make_district(district_name)
    level = name.level
    if name.relative:
        least = smallest_level(district_name, name.kind, name.intervals)
        if least <= 0:
            raise UsageError(
                f"address '{address}': every level of '{name.kind}' can be met, so none is the smallest; "
                "allowed: a fraction of the peak like 0.3"
            )
        level *= least
    scenario = DistrictScenario(address, district_name, network_name, budget_name, district, level)
    scenario.network()  # a topology or a file without a meaning is refused here
    return _changed(scenario, name.change) if name.change else scenario


def _changed(scenario: DistrictScenario, change: str) -> DistrictScenario:
    """The second half of a scenario's measured hours, in whole days, after a change of tariff or level."""
    district = scenario.district
    first, last = district.measured
    middle = first + (last - first) // (2 * HOURS) * HOURS
    district = replace(district, warmup=middle, measured=(middle, last))
    address, budget = (word.rpartition("~")[0] for word in (scenario.address, scenario.budget_name))
    before = replace(scenario, address=address, budget_name=budget)
    if change == TARIFF:
        district = replace(district, price=district.price.roll(TARIFF_HOURS))
        return replace(scenario, district=district, before=before)
    return replace(scenario, district=district, level=float(change), before=before)


def smallest_level(district_name: str, kind: str, intervals: tuple[tuple[int, int], ...] = ()) -> float:
    """The least level of a kind of budget that can be met over a district's measured hours.

    Args:
        district_name: First word of an address.
        kind: One of `budgets.KINDS`.
        intervals: Hours of the day [from, to) of each window.

    Raises:
        UsageError: no such district, or its linear program is too large to solve.
    """
    return _smallest_level(district_name, make_district(district_name).digest, kind, intervals)


@lru_cache(maxsize=64)
def _smallest_level(district_name: str, data: str, kind: str, intervals: tuple[tuple[int, int], ...]) -> float:
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
    district, edges, file = front.partition(f"/{EDGES}")
    network = f"{EDGES}{file}"
    if not edges:
        district, _, network = front.rpartition("/")
    if not (district and network and budget) or ("/" in district and not district.startswith(FOLDER)):
        raise UsageError(
            f"address '{address}': must be district/network/budget, like campus_seven/two_groups/hourly-0.35"
        )
    return district, network, budget


def _files(address: str) -> list[Path]:
    try:
        district, network, _ = _split(address)
    except UsageError:  # it has no meaning, which whoever resolves it is told
        return []
    named = ((district, FOLDER), (split_faults(network)[0], EDGES))
    return [Path(word.removeprefix(prefix)) for word, prefix in named if word.startswith(prefix)]


def _words() -> Sequence[tuple[str, str]]:
    return [
        *((f"{name}/…", meaning) for name, meaning in named_districts()),
        ("synthetic_N/…", "N buildings drawn from the homes and the mixed set"),
        ("synthetic_N-week/…", "the same, measured on one week: for the optimum of thousands"),
        ("folder:PATH/…", "your own data, in CityLearn's schema; accord new-district writes a folder to fill in"),
        (f"…/NETWORK with {', '.join(TOPOLOGIES)}", "second word"),
        (f"…/NETWORK+FAULT with {', '.join(WORDS)}", "a network with faults, which policies are not trained with"),
        (f"…/{', '.join(f'{kind}-C' for kind in KINDS)}", "third word, C a share of the uncontrolled peak, or x1.05"),
    ]


DISTRICTS = Family(
    resolve_district,
    _words,
    ("campus_seven/two_groups/hourly-0.35", "homes_17/ring/feeder-0.3", "paper_seven/star/average-0.27"),
    files=_files,
)
