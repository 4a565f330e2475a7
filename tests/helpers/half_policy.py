"""A policy from outside: half of everything."""

import numpy as np
from numpy.typing import NDArray


def policy(observations: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.full((len(observations), 2), 0.5, dtype=np.float32)
