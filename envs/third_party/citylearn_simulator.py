"""A window of an Accord district as a `CityLearnEnv`, stepped hour by hour; imported only where CityLearn is installed.

The simulator has the electric load, PV and battery of every building, the tariff and the carbon intensity. It has no
heating, cooling or hot water, no outages and no weather: an Accord district has none of them. CityLearn cannot postpone
a load, so the owner of a building decides every hour how much is served, and that is written into `non_shiftable_load`.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from citylearn.building import Building
from citylearn.citylearn import CityLearnEnv
from numpy.typing import NDArray

from accord.envs.districts.district import District

Array = NDArray[np.float64]

BATTERY = "electrical_storage"  # what CityLearn calls it, and the action on it
SEED = 0  # CityLearn asks for one; nothing is drawn
# CityLearn's figures: its documentation of `Battery`, and Building_1 of citylearn_challenge_2021, whose battery the
# sevens have. Points of (power as a share of the nominal one, efficiency of a whole cycle) and of (state of charge,
# power that is left as a share of the nominal one); the share of the capacity that a whole cycle costs.
POWER_EFFICIENCY = ((0.0, 0.83), (0.3, 0.83), (0.7, 0.9), (0.8, 0.9), (1.0, 0.85))
CAPACITY_POWER = ((0.0, 1.0), (0.8, 1.0), (1.0, 0.2))
CAPACITY_LOSS = 1e-5
WEATHER = (
    "outdoor_dry_bulb_temperature",
    "outdoor_relative_humidity",
    "diffuse_solar_irradiance",
    "direct_solar_irradiance",
)
AHEAD = ("predicted_1", "predicted_2", "predicted_3")


@dataclass(frozen=True)
class Hour:
    """What an hour left, each [N] in kWh.

    Attributes:
        net: CityLearn's net electricity consumption; below 0 where solar is left over.
        served: Load that sun and battery served.
        bought: Load that was served beyond that.
        charged: What the battery took before losses, or, below 0, what it gave after them.
        stored: Energy in the battery afterwards.
    """

    net: Array
    served: Array
    bought: Array
    charged: Array
    stored: Array


class OwnedBuilding(Building):
    """A building whose owner decides what load is served, once it is known what the battery gives."""

    _decision: tuple[float, float, float, float] | None = None

    def decide(self, load: float, battery_share: float, grid_share: float, connection: float) -> list[float]:
        """What the owner asks for in the coming hour.

        The sun serves the battery's share of the load, the battery gives what lacks or takes what is left.

        Args:
            load: All load that waits, kWh.
            battery_share: The part of it that sun and battery are to serve.
            grid_share: The part of the rest that is bought.
            connection: Most that can be bought, kWh.

        Returns:
            The building's actions: the battery's power as a share of the nominal one, above 0 to charge; none without.
        """
        self._decision = (load, battery_share, grid_share, connection)
        if not self.active_actions:
            return []
        left = self._sun - battery_share * load
        return [float(np.clip(left / self.electrical_storage.nominal_power, -1.0, 1.0))]

    def update_non_shiftable_load(self) -> None:
        """Write the load that is served; a battery that gives has done so by now, one that takes does so after it."""
        if self._decision is not None:
            load, battery_share, grid_share, connection = self._decision
            given = max(-float(self.electrical_storage.electricity_consumption[self.time_step]), 0.0)
            self.served = min(battery_share * load, self._sun + given)
            self.bought = min(grid_share * (load - self.served), connection)
            self.energy_simulation.non_shiftable_load[self.time_step] = self.served + self.bought
        super().update_non_shiftable_load()

    @property
    def _sun(self) -> float:
        return -float(self.solar_generation[self.time_step])


class Simulator:
    """One copy of a district from an hour on."""

    def __init__(self, district: District, start: int, hours: int, initial: Array, *, flat: bool) -> None:
        """Write the window to a temporary folder in CityLearn's schema and load it.

        Args:
            district: Who and what.
            start: First hour of the window.
            hours: Its length; hours past the end of the calendar are those of its beginning.
            initial: [N] state of charge at the beginning, a share of the capacity.
            flat: Batteries have one efficiency each way and one power, as in Accord's model, and do not age.
        """
        self._connection = district.connection_kwh.tolist()
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), district, start, hours + 1, initial, flat)  # CityLearn's last row takes no action
            self.env: Any = CityLearnEnv(str(Path(folder) / "schema.json"), offline=True)
        self.env.reset()

    def step(self, load: Array, battery_share: Array, grid_share: Array) -> Hour:
        """Advance one hour; see `OwnedBuilding.decide` for the arguments, each [N]."""
        buildings = self.env.buildings
        asked = zip(buildings, load, battery_share, grid_share, self._connection, strict=True)
        actions = [building.decide(*map(float, wish)) for building, *wish in asked]
        hour = buildings[0].time_step
        self.env.step(actions)
        return Hour(
            net=np.array([float(b.net_electricity_consumption[hour]) for b in buildings]),
            served=np.array([b.served for b in buildings]),
            bought=np.array([b.bought for b in buildings]),
            charged=np.array([float(b.electrical_storage.electricity_consumption[hour]) for b in buildings]),
            stored=np.array([float(b.electrical_storage.soc[hour]) * b.electrical_storage.capacity for b in buildings]),
        )


def _write(folder: Path, district: District, start: int, rows: int, initial: Array, flat: bool) -> None:
    """`schema.json` and its CSV files."""
    hours = (start + np.arange(rows)) % district.hours
    names = [f"Building_{i + 1}" for i in range(district.n_agents)]
    demand, solar = district.demand(start, rows).numpy(), district.solar(start, rows).numpy()
    pv = district.pv_kw.tolist()
    clock = {"month": 1, "hour": district.hour.numpy()[hours] + 1, "day_type": district.weekday.numpy()[hours] + 1}
    unused = dict.fromkeys(("indoor_dry_bulb_temperature", "dhw_demand", "cooling_demand", "heating_demand"), 0.0)
    for i, name in enumerate(names):
        sun = 1000 * solar[i] / pv[i] if pv[i] else 0.0  # W per kW of PV
        own = clock | unused | {"non_shiftable_load": demand[i], "solar_generation": sun}
        pd.DataFrame(own).to_csv(folder / f"{name}.csv", index=False)
    price = district.price.numpy()[hours]
    prices = {"electricity_pricing": price} | {f"electricity_pricing_{ahead}": price for ahead in AHEAD}
    pd.DataFrame(prices).to_csv(folder / "pricing.csv", index=False)
    carbon = np.zeros(rows) if district.carbon is None else district.carbon.numpy()[hours]
    pd.DataFrame({"carbon_intensity": carbon}).to_csv(folder / "carbon_intensity.csv", index=False)
    weather = [*WEATHER, *(f"{name}_{ahead}" for name in WEATHER for ahead in AHEAD)]
    pd.DataFrame(np.zeros((rows, len(weather))), columns=weather).to_csv(folder / "weather.csv", index=False)
    schema = {
        "random_seed": SEED,
        "root_directory": None,
        "central_agent": False,
        "simulation_start_time_step": 0,
        "simulation_end_time_step": rows - 1,
        "episode_time_steps": None,
        "rolling_episode_split": False,
        "random_episode_split": False,
        "seconds_per_time_step": 3600,
        # CityLearn builds a space for what is observed; Accord observes by itself.
        "observations": {"net_electricity_consumption": {"active": True, "shared_in_central_agent": False}},
        "actions": {BATTERY: {"active": True}},
        "reward_function": {"type": "citylearn.reward_function.RewardFunction", "attributes": {}},
        "buildings": {name: _building(name, district, i, float(initial[i]), flat) for i, name in enumerate(names)},
    }
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")


def _building(name: str, district: District, i: int, initial: float, flat: bool) -> dict[str, Any]:
    capacity, power, pv = (float(part[i]) for part in (district.battery_kwh, district.battery_kw, district.pv_kw))
    found: dict[str, Any] = {
        "include": True,
        "type": f"{OwnedBuilding.__module__}.{OwnedBuilding.__name__}",
        "energy_simulation": f"{name}.csv",
        "weather": "weather.csv",
        "carbon_intensity": "carbon_intensity.csv",
        "pricing": "pricing.csv",
        "inactive_observations": [],
        "inactive_actions": [] if capacity * power else [BATTERY],
    }
    if capacity * power:
        cycle = float(district.efficiency[i]) ** 2
        battery = {
            "capacity": capacity,
            "nominal_power": power,
            "efficiency": cycle,
            "power_efficiency_curve": ((0.0, cycle), (1.0, cycle)) if flat else POWER_EFFICIENCY,
            "capacity_power_curve": ((0.0, 1.0), (1.0, 1.0)) if flat else CAPACITY_POWER,
            "capacity_loss_coefficient": 0.0 if flat else CAPACITY_LOSS,
            "loss_coefficient": 0.0,
            "depth_of_discharge": 1.0,
            "initial_soc": initial,
        }
        found[BATTERY] = {"type": "citylearn.energy_model.Battery", "autosize": False, "attributes": battery}
    if pv:
        attributes = {"nominal_power": pv}
        found["pv"] = {"type": "citylearn.energy_model.PV", "autosize": False, "attributes": attributes}
    return found
