"""One run, and many on one machine."""

from accord.benchmark.launch.start import launch

__all__ = ["launch"]
