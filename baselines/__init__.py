"""Every method, one file each. Importing this package registers them by name."""

from baselines import (
    allocation_expert,
    attention,
    consensus,
    fixed,
    lgtc,
    lookahead,
    mappo,
    momappo,
    oracle,
    rule_based,
    value_decomposition,
)
from baselines.registry import METHODS, REFERENCES, load_plugins, make_method

load_plugins()

__all__ = [
    "METHODS",
    "REFERENCES",
    "allocation_expert",
    "attention",
    "consensus",
    "fixed",
    "lgtc",
    "lookahead",
    "make_method",
    "mappo",
    "momappo",
    "oracle",
    "rule_based",
    "value_decomposition",
]
