"""A small district in CityLearn's schema, in a folder."""

import json
from pathlib import Path

import numpy as np
import pandas as pd


def write_folder(folder: Path, hours: int, *, tariff: bool = True) -> Path:
    """Two homes in CityLearn's schema, the second without a battery."""
    folder.mkdir()
    hour = np.arange(hours) % 24
    for i in (1, 2):
        demand = i * (1 + (hour == 19))
        solar = 500.0 * ((hour > 8) & (hour < 16))
        columns = {"hour": hour + 1, "non_shiftable_load": demand, "solar_generation": solar}
        pd.DataFrame(columns).to_csv(folder / f"home_{i}.csv", index=False)
    pd.DataFrame({"electricity_pricing": 0.1 + 0.2 * (hour >= 16)}).to_csv(folder / "pricing.csv", index=False)
    battery = {"capacity": 6.4, "nominal_power": 5.0, "efficiency": 0.9}
    buildings = {
        f"home_{i}": {
            "include": True,
            "energy_simulation": f"home_{i}.csv",
            **({"pricing": "pricing.csv"} if tariff else {}),
            "pv": {"attributes": {"nominal_power": 4.0}},
            **({"electrical_storage": {"attributes": battery}} if i == 1 else {}),
        }
        for i in (1, 2)
    }
    schema = {"seconds_per_time_step": 3600, "buildings": buildings}
    (folder / "schema.json").write_text(json.dumps(schema))
    return folder
