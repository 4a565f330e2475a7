"""Every method, one file each. Importing this package registers them by name."""

from baselines import consensus, fixed, lookahead, mappo, momappo, oracle, rule_based, value_decomposition
from baselines.registry import METHODS, REFERENCES, load_plugins, make_method

load_plugins()

__all__ = [
    "METHODS",
    "REFERENCES",
    "consensus",
    "fixed",
    "lookahead",
    "make_method",
    "mappo",
    "momappo",
    "oracle",
    "rule_based",
    "value_decomposition",
]
