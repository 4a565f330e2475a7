"""Demand response in a district."""

from accord.envs.demand_response.dynamics import DemandResponse

__all__ = ["DemandResponse"]
