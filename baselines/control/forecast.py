"""What plans expect of the coming hours, and what persistence makes of the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAY, WEEK = 24, 168  # hours


@dataclass(frozen=True)
class Coming:
    """What the coming T hours are taken to bring.

    Attributes:
        demand: [N, T] kWh, or [T] of one building, or of many copies; the present hour's is known.
        solar: The same.
        price: Tariff in mean prices, [T], or as each building knows it.
    """

    demand: Array
    solar: Array
    price: Array

    def of(self, i: int | tuple[int, ...]) -> Coming:
        """One building's."""
        return Coming(self.demand[i], self.solar[i], self.price[i] if self.price.ndim > 1 else self.price)


def persistence(demand: Array, solar: Array, ahead: NDArray[np.int64]) -> tuple[Array, Array]:
    """The same hour's demand a week ago and sun a day ago; the last day's, or the present, without such a past.

    Args:
        demand: What was metered, the present hour last, [..., K] kWh.
        solar: The same.
        ahead: Which hours from the present one on, [T].

    Returns:
        Demand and sun that are expected, [..., T] kWh; of the present hour what was metered.
    """
    known = demand.shape[-1]

    def like(values: Array, period: int) -> Array:
        back = -ahead % period
        return values[..., known - 1 - np.where(back < known, back, 0)]

    return like(demand, WEEK if known > WEEK else DAY), like(solar, DAY)
