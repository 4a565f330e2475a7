"""Demand response in CityLearn's own simulator, `CityLearnEnv`, in place of Accord's separable model.

    citylearn/campus_seven/two_groups/hourly-0.35              as CityLearn has it
    citylearn_curtailed/campus_seven/two_groups/hourly-0.35    solar that nobody takes is lost, as in Accord's model
    citylearn_flat/campus_seven/two_groups/hourly-0.35         and batteries lose what they lose in Accord's model

What follows the first word is an address of demand response: its district, network, budgets, hours, tariff and
observations. Policies are trained there, a warm-up is run there, and the optimum is that of its linear programme. In an
hour with demand d, solar g and waiting load q a building asks its simulator for

    D   = d + q                                  load waiting now: CityLearn has no queue, it is kept here
    x   = g − a_b·D                              what the battery is to take, or to give below 0
    x'                                           what CityLearn's battery takes or gives of that
    e_b = min(a_b·D, g + max(0, −x'))            served by sun and battery
    e_g = min(a_g·(D − e_b), G)                  bought; e_b + e_g is written into CityLearn's load
    n                                            CityLearn's net consumption, e_b + e_g + x' − g
    u   = max(0, n)                              import; where solar is curtailed max(0, n + what is left of it)
    q⁺  = D − e_b − e_g
    r0  = −p·u − w·q⁺
    s   = d − e_g − e_b                          shortfall

The battery does one thing an hour, so the sun serves a load without passing through it. Its power is limited before
losses in both directions; in Accord's model charging is limited after them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from accord.envs.checks import check_actions
from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.dynamics import BATTERY, GRID, UNITS
from accord.envs.demand_response.scenario import DistrictScenario, resolve_district
from accord.envs.districts.district import District
from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.scenario import Bound, Family, Hours, Scales, Scenario
from accord.envs.task import Budget, Initial, Step

if TYPE_CHECKING:
    from accord.envs.third_party.citylearn_simulator import Simulator

# Where CityLearn is not installed an address still has its meaning, so that published runs can be read.
PACKAGE, EXTRA = "citylearn", "accord-bench[citylearn]"
NET = "net_kwh"


@dataclass(frozen=True)
class Kind:
    """What a first word means.

    Attributes:
        flat: Batteries lose what they lose in Accord's model, whatever their power and state of charge.
        curtailed: Solar that neither load nor battery takes is lost; otherwise it serves what is bought.
        words: For `accord list`.
    """

    flat: bool
    curtailed: bool
    words: str


KINDS = {
    "citylearn": Kind(flat=False, curtailed=False, words="a district in CityLearn's simulator"),
    "citylearn_curtailed": Kind(flat=False, curtailed=True, words="the same, and solar that is left over is lost"),
    "citylearn_flat": Kind(flat=True, curtailed=True, words="the same, and batteries lose what they lose in Accord"),
}


class CityLearnDistrict(DemandResponse):
    """`B` simulators of one district, stepped one after the other on the CPU; see the module.

    Actions, observations, budgets and measures are those of `DemandResponse`. `battery_kwh` is what sun and battery
    serve, `curtailed` the solar that nobody uses, and one more measure is CityLearn's net consumption.
    """

    def __init__(self, district: District, budgets: tuple[Budget, ...], kind: Kind) -> None:
        """Build the task; simulators are built at every reset.

        Args:
            district: Who and what.
            budgets: The shared budgets, over the resource "import" (index 0).
            kind: What of the simulator is as in Accord's model.
        """
        super().__init__(district, budgets)
        self._kind = kind
        self.spec = replace(self.spec, units=UNITS | {NET: "kWh"})

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        """Start `batch` copies, each in a simulator of its own; see `DemandResponse.reset`."""
        from accord.envs.third_party.citylearn_simulator import Simulator

        step = super().reset(batch, generator, start=start, horizon=horizon, initial=initial)
        charge = (self._stored / self._capacity.clamp_min(1e-9)).double().numpy()
        self._simulators: list[Simulator] = [
            Simulator(self.district, int(first), self._horizon, share, flat=self._kind.flat)
            for first, share in zip(self._hour.column, charge, strict=True)
        ]
        step.measures[NET] = torch.zeros_like(self._stored)
        return step

    def step(self, actions: Tensor) -> Step:
        """Advance one hour with `actions` [B, N, 2]; see the module for the equations.

        Raises:
            UsageError: the episode has ended.
        """
        check_actions(self.spec, actions, self._batch)
        if self._elapsed >= self._horizon:
            raise UsageError(f"task '{self.spec.name}': the simulator's {self._horizon} hours are over; call reset")
        share, hour = actions.clamp(0.0, 1.0), self._hour
        load = hour.demand + self._waiting
        asked = zip(*(part.double().numpy() for part in (load, share[..., BATTERY], share[..., GRID])), strict=True)
        results = [simulator.step(*wish) for simulator, wish in zip(self._simulators, asked, strict=True)]
        net, served, bought, charged, stored = (
            torch.from_numpy(np.stack([getattr(result, name) for result in results])).float()
            for name in ("net", "served", "bought", "charged", "stored")
        )
        left = (hour.solar - served - charged).clamp_min(0.0)
        imported = (net + left if self._kind.curtailed else net).clamp_min(0.0)
        before, self._stored = self._stored, stored
        self._waiting = (load - served - bought).clamp_min(0.0)
        measures = {
            "import_kwh": imported,
            "battery_kwh": served,
            "waiting_load": self._waiting,
            "demand": hour.demand,
            "solar": hour.solar,
            "stored": (stored - before).clamp_min(0.0),
            "curtailed": left if self._kind.curtailed else (-net).clamp_min(0.0),
            "soc": stored,
            "servable": self._efficiency * stored,
            "price": hour.price,
            NET: net,
        }
        if hour.carbon is not None:
            measures["carbon"] = hour.carbon
        reward = -hour.price[:, None] * imported - self._delay_price * self._waiting
        return self._pass_hour(reward, imported, hour.demand - bought - served, measures)

    def take(self, agents: Tensor) -> CityLearnDistrict:
        """A task of the buildings with these indices; each keeps its share of the budgets."""
        model = super().take(agents)
        return CityLearnDistrict(model.district, model.spec.budgets, self._kind)


@dataclass(frozen=True)
class CityLearnScenario(Scenario):
    """A scenario of demand response, measured in CityLearn's simulator.

    Attributes:
        model: The scenario in Accord's model: where policies are trained, and the warm-up is run.
        kind: What of the simulator is as in Accord's model.
    """

    model: DistrictScenario
    kind: Kind

    uncontrolled: ClassVar[str] = "serve_now"

    @property
    def n_agents(self) -> int:
        """N."""
        return self.model.n_agents

    @property
    def on_processor(self) -> bool:
        """The simulator."""
        return True

    @property
    def digest(self) -> str:
        """SHA-256 over the district's numbers and the kind, hex."""
        return hashlib.sha256(f"{self.model.digest} {self.kind}".encode()).hexdigest()

    def check(self) -> None:
        """Raise a `UsageError` where CityLearn is not installed."""
        if _version() is None:
            raise UsageError(f"scenario '{self.address}' needs the package {PACKAGE}: pip install {EXTRA}")

    def task(self, device: str = "cpu") -> CityLearnDistrict:
        """A fresh task, on the CPU whatever the device.

        Raises:
            UsageError: CityLearn is not installed.
        """
        self.check()
        return CityLearnDistrict(self.model.district, self.budgets(), self.kind)

    def network(self) -> Network:
        """A fresh network, its counters at zero."""
        return self.model.network()

    @property
    def protocol(self) -> Hours:
        """The district's."""
        return self.model.protocol

    @property
    def trained_on(self) -> DistrictScenario:
        """Accord's model, before any change."""
        return self.model.trained_on

    @property
    def sound(self) -> CityLearnScenario:
        """The same over a network without faults."""
        return replace(self, model=self.model.sound)

    def over(self, hours: Hours) -> DistrictScenario:
        """Accord's model, as before any change, measured on other hours."""
        return self.model.over(hours)

    def budgets(self) -> tuple[Budget, ...]:
        """The shared budgets."""
        return self.model.budgets()

    @property
    def scales(self) -> Scales:
        """Those of the model."""
        return self.model.scales

    def optimum(self) -> Bound | None:
        """The linear programme's optimum of Accord's model: a yardstick, which the simulator may let a run pass.

        None where no plan is feasible in the model, which proves nothing of the simulator.
        """
        found = self.model.optimum()
        return found if isinstance(found, Bound) else None

    @property
    def comparison_key(self) -> dict[str, Any]:
        """The network does not matter, the simulator does."""
        return {**self.model.comparison_key, "simulator": f"{self.kind} {_version()}"}


def _resolve(address: str) -> CityLearnScenario:
    word, _, rest = address.partition("/")
    if word not in KINDS:
        raise UsageError(f"address '{address}': unknown simulator '{word}'; allowed: {', '.join(KINDS)}")
    return CityLearnScenario(address, resolve_district(rest), KINDS[word])


def _version() -> str | None:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


def _words() -> Sequence[tuple[str, str]]:
    needs = "" if _version() else f"; needs pip install {EXTRA}"
    return [(f"{word}/DISTRICT/…", f"{kind.words}{needs}") for word, kind in KINDS.items()]


EXAMPLES = tuple(f"{word}/campus_seven/two_groups/hourly-0.35" for word in KINDS) if _version() else ()
CITYLEARN = Family(_resolve, _words, EXAMPLES)
