"""A folder to fill in: the least that a district of one's own needs, with rows that are an example."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from accord.envs.errors import UsageError

WEEKS = 6
NOTE = "example"  # in the column `note` of every row that is to be replaced
HOME, PRICING = "home_1.csv", "pricing.csv"
SCHEMA = {
    "seconds_per_time_step": 3600,
    "buildings": {
        "home_1": {
            "include": True,
            "energy_simulation": HOME,
            "pricing": PRICING,
            "pv": {"autosize": False, "attributes": {"nominal_power": 4.0}},
            "electrical_storage": {
                "autosize": False,
                "attributes": {"capacity": 6.4, "nominal_power": 5.0, "efficiency": 0.9},
            },
        }
    },
}
README = f"""# A district of one's own, in CityLearn's schema

Every row with `{NOTE}` in the column `note` is invented: replace it; the column itself is not read.
- `{HOME}`, a row per hour: `hour` counts 1..24 (the hour that ends) or 0..23 (the hour that begins),
  `non_shiftable_load` is the demand in kWh, `solar_generation` is what one kW of PV gives, in W.
- `{PRICING}`: `electricity_pricing` in $/kWh, of any sign; all files have the same number of rows, 672 or more.
- `schema.json`: an entry and a file for each building, PV in kW, a battery in kWh and kW, its efficiency in (0, 1].
  A building without PV or battery has no such key. Heat, shiftable appliances and vehicles are not read.
- Policies learn on the first half of the hours; of the second half a quarter is warm-up and the rest is measured.
- Run it: `{{command}}`
"""


def write_template(folder: Path, command: str) -> list[Path]:
    """Write a district of one building to fill in.

    Args:
        folder: A new or an empty one.
        command: What runs it, for its README.

    Returns:
        The files.

    Raises:
        UsageError: the folder holds something, or is a file.
    """
    if folder.is_file():
        raise UsageError(f"{folder}: is a file; allowed: a new or an empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder}: holds files already; allowed: a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "schema.json": json.dumps(SCHEMA, indent=2) + "\n",
        HOME: _home().to_csv(index=False),
        PRICING: _pricing().to_csv(index=False),
        "README.md": README.format(command=command),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _hours() -> np.ndarray:
    """Hour of the day of each row, the first of them from midnight to one."""
    return np.arange(WEEKS * 7 * 24) % 24


def _home() -> pd.DataFrame:
    """A home with a peak in the morning and a higher one in the evening, and clear and cloudy days."""
    hour, draw = _hours(), np.random.default_rng(0)
    days = len(hour) // 24
    demand = 0.3 + _bump(hour, 7.5, 1.5) + 2.2 * _bump(hour, 19.0, 2.0)
    clouds = np.repeat(draw.uniform(0.3, 1.0, days), 24)
    sun = 800 * clouds * np.clip(np.sin(np.pi * (hour + 0.5 - 6) / 12), 0, None)
    return pd.DataFrame(
        {
            "hour": hour + 1,
            "non_shiftable_load": (demand * draw.uniform(0.7, 1.3, len(hour))).round(3),
            "solar_generation": sun.round(1),
            "note": NOTE,
        }
    )


def _pricing() -> pd.DataFrame:
    """Dear in the evening and cheap at night."""
    hour = _hours()
    price = np.select([hour < 7, (hour >= 16) & (hour < 21)], [0.12, 0.38], 0.22)
    return pd.DataFrame({"electricity_pricing": price, "note": NOTE})


def _bump(hour: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * ((hour + 0.5 - centre) / width) ** 2))
