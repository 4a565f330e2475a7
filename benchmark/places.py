"""Where things lie unless somebody says otherwise."""

from pathlib import Path

SCRATCH = Path("runs")
RESULTS = Path("results")
