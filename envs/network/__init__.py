"""Who can talk to whom, and what it costs."""

from accord.envs.network.faulty import FaultyNetwork
from accord.envs.network.moving import MovingNetwork
from accord.envs.network.static import Network

__all__ = ["FaultyNetwork", "MovingNetwork", "Network"]
