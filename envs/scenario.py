"""What an address means: a task, who may talk to whom, and how runs on it are measured."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version

from accord.envs.errors import UsageError
from accord.envs.network.static import Network
from accord.envs.task import Budget, Task

NETWORK = "complete"  # of a scenario whose address names none
EPISODES = 100


@dataclass(frozen=True)
class Scenario(ABC):
    """One address, resolved.

    Attributes:
        address: As typed.
    """

    address: str

    @property
    @abstractmethod
    def n_agents(self) -> int:
        """N."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of what the task is made from, hex."""

    @abstractmethod
    def task(self, device: str = "cpu") -> Task:
        """A fresh task."""

    @abstractmethod
    def network(self) -> Network:
        """A fresh network, its counters at zero."""

    def budgets(self) -> tuple[Budget, ...]:
        """The shared budgets."""
        return ()

    @property
    def trained_on(self) -> Scenario:
        """The scenario that policies for this one are trained on: itself, unless something changes while it runs."""
        return self

    def check(self) -> None:  # noqa: B027
        """Raise a `UsageError` where the task cannot be made on this machine."""


@dataclass(frozen=True)
class EpisodicScenario(Scenario):
    """A task without budgets that is measured by the mean return of its episodes.

    Attributes:
        make: Makes a task, given the device.
        references: Known mean returns, summed over agents, by what earns them.
        episodes: Episodes of an evaluation, rolled out as one batch.
        package: Distribution that the task comes from; empty for our own.
    """

    make: Callable[[str], Task]
    references: Mapping[str, float] = field(default_factory=dict)
    episodes: int = EPISODES
    package: str = ""

    @cached_property
    def n_agents(self) -> int:
        """N."""
        return self.task().spec.n_agents

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the address and the version of the package, hex."""
        return hashlib.sha256(f"{self.address} {self.package} {self._version() or 'absent'}".encode()).hexdigest()

    def task(self, device: str = "cpu") -> Task:
        """A fresh task; third-party ones live on the CPU.

        Raises:
            UsageError: its package is not installed.
        """
        self.check()
        return self.make(device)

    def network(self) -> Network:
        """Everybody hears everybody."""
        return Network.build(NETWORK, self.n_agents)

    def check(self) -> None:
        """Raise a `UsageError` where the package is not installed."""
        if self.package and self._version() is None:
            raise UsageError(f"scenario '{self.address}' needs the package {self.package}: pip install {self.package}")

    def _version(self) -> str | None:
        try:
            return version(self.package) if self.package else ""
        except PackageNotFoundError:
            return None
