"""A district: the first five of the seventeen homes."""

from dataclasses import replace

import torch

from accord.envs.districts.district import District
from accord.envs.districts.named import make_district


def homes_5() -> District:
    """The first five homes."""
    return replace(make_district("homes_17").take(torch.arange(5)), name="homes_5")
