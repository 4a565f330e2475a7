"""Results per building made by hand, for tests of what is shown of them."""

import numpy as np
import pandas as pd

from accord.benchmark.evaluation.buildings import CHANGE, QUANTITIES, TODAY, WAITING, Buildings


def results(count: int, *, name: str = "home", bill: bool = True, peaks: bool = True) -> Buildings:
    """So many buildings, the change of building n being the same in everything: from 50 down to -50."""
    change = np.linspace(50, -50, count) if count > 1 else np.array([-50.0])
    columns: dict[str, object] = {"building": [f"{name} {n}" for n in range(1, count + 1)]}
    for quantity in QUANTITIES:
        known = {"bill": bill, "peak": peaks}.get(quantity.name, True)
        columns[quantity.name] = 100 + change if known else np.nan
        columns[f"{quantity.name}{TODAY}"] = 100.0 if known else np.nan
        columns[f"{quantity.name}{CHANGE}"] = change if known else np.nan
    table = pd.DataFrame({**columns, WAITING: 1.0})
    largest = {"peak": 150.0, f"peak{TODAY}": 100.0, f"peak{CHANGE}": 50.0}
    district = pd.Series({**table.iloc[0], "building": "", **largest})
    return Buildings("homes/ring/average-0.4 rule seed 0", "serve_now", 168, table, district, 0.02)
