"""One run, and many: in processes of this machine or in the launching one, on a Ray cluster, or in a SLURM queue."""

from accord.benchmark.launch.start import launch

__all__ = ["launch"]
