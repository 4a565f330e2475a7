"""A policy from elsewhere: a function from the observations of all agents to their actions.

accord evaluate examples/own_policy.py:night_buyer --scenario campus_seven/two_groups/hourly-0.35
"""

# --8<-- [start:policy]
import numpy as np

import accord

FIELDS = accord.make("campus_seven/two_groups/hourly-0.35").spec.obs_fields


def night_buyer(observations):
    """Battery always; from the grid what waits where the price is below its mean, else half of it."""
    price = observations[:, FIELDS["price"].where.start]  # [N], in mean prices
    return np.stack([np.ones_like(price), np.where(price < 1, 1.0, 0.5)], axis=1)  # [N, 2]: battery, grid


# --8<-- [end:policy]

if __name__ == "__main__":
    env = accord.parallel_env("campus_seven/two_groups/hourly-0.35")
    observations, _ = env.reset(seed=0)
    print(night_buyer(np.stack(list(observations.values()))).shape)
