"""Limits that the command line knows before anything heavy is loaded."""

MOST = 2**63 - 1  # of whole numbers that tables hold
MOST_SEEDS = 10_000  # of a suite: each is a run of every cell
