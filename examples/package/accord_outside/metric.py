"""A metric: the largest use of a budget in any hour."""

from accord.benchmark.evaluation.context import Context, Value
from accord.benchmark.evaluation.metric import Column, metric
from accord.benchmark.evaluation.trajectory import Trajectory


@metric("-", "low", section="violation", column=Column("use peak", "%", 100, 0, place=25))
def use_peak(run: Trajectory, context: Context) -> Value:
    """Largest use in an hour, as a share of the limit."""
    return 1 + max(run.hour_excess) if run.hour_excess else None
