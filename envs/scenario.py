"""The contract of a scenario: what an address means, how runs on it are measured and what bounds them."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.task import Budget, Task

NETWORK = "complete"  # of a scenario whose address names none
EPISODES = 100


@dataclass(frozen=True)
class Hours:
    """When a scenario is measured that is rolled out over the hours of one calendar.

    Attributes:
        training: First and last (exclusive) hour that training may use.
        warmup: First hour of the warm-up, which ends where the measured hours begin.
        measured: First and last (exclusive) measured hour.
        in_sample: The measured hours are among the training hours.
    """

    training: tuple[int, int]
    warmup: int
    measured: tuple[int, int]
    in_sample: bool = False


@dataclass(frozen=True)
class Episodes:
    """How many episodes an evaluation has, rolled out as one batch, and what is known of their returns.

    Attributes:
        count: Episodes.
        references: Known mean returns, summed over agents, by what earns them.
    """

    count: int = EPISODES
    references: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scales:
    """What numbers are read against that are measured over hours; None where a task has no such thing.

    Attributes:
        peak: Highest use of resource 0 in an hour without control.
        level: The budgets' level as a fraction of that.
        top_price: Highest price of resource 0, at which what is owed in the end is charged.
    """

    peak: float | None = None
    level: float | None = None
    top_price: float | None = None


@dataclass(frozen=True)
class Bound:
    """The optimum of a scenario with perfect foresight.

    Often more than one plan is optimal. What depends on which of them was found is nothing to compare with: tables
    show the objective and what is the least over all optima.

    Attributes:
        objective: Per hour, in the task's currency: what no controller can be below within the budgets.
        multipliers: [m], multipliers in mean prices that are optimal; others may be too.
        cost: Per hour, the least that an optimum pays for energy; None where nothing is paid or it is not known.
        imports: [hours] use of resource 0 by all agents in one of the optima; None where it is not known.
        gap: By which share the optimum may lie above `objective`: more than 0 where it was not computed exactly.
        import_peak: The least over optima of the highest use of resource 0 by all agents in an hour; None where it is
            not known.
    """

    objective: float
    multipliers: Tensor
    cost: float | None = None
    imports: Tensor | None = None
    gap: float = 0.0
    import_peak: float | None = None


@dataclass(frozen=True)
class Infeasible:
    """Proof that no controller can meet the budgets.

    For every plan, Σ_k weights_k · (average use in budget k + load owed at the end per hour − its limit)
    ≥ excess > 0, which anyone can check agent by agent: the left side splits.

    Attributes:
        weights: [m], non-negative, sum 1.
        excess: Units of the resource per hour.
        smallest_level: Least level of this kind of budget that can be met; None where budgets have no level.
    """

    weights: Tensor
    excess: float
    smallest_level: float | None = None


@dataclass(frozen=True)
class Scenario(ABC):
    """One address, resolved.

    Whoever adds a kind of scenario says here all that the harness has to know of it: the task and its network, whether
    it is measured over hours or in episodes, and what runs on it are compared with.

    Attributes:
        address: As typed.
        on_processor: Its task lives on the processor whatever device is asked for.
    """

    address: str

    # What `savings` and fairness are counted from: a method without control; empty where there is none.
    uncontrolled: ClassVar[str] = ""
    # Address at which the locality of methods that run here is audited; empty for the audit's own.
    audited_at: ClassVar[str] = ""

    @property
    @abstractmethod
    def n_agents(self) -> int:
        """N."""

    @property
    def on_processor(self) -> bool:
        """See the class."""
        return False

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of what the task is made from, hex."""

    @abstractmethod
    def task(self, device: str = "cpu") -> Task:
        """A fresh task."""

    def network(self) -> Network:
        """A fresh network, its counters at zero; everybody hears everybody where nothing else is said."""
        return Network.build(NETWORK, self.n_agents)

    @cached_property
    def network_digest(self) -> str:
        """SHA-256 of who can talk to whom, hex."""
        return self.network().digest

    def check(self) -> None:  # noqa: B027
        """Raise a `UsageError` where the task cannot be made on this machine."""

    @property
    @abstractmethod
    def protocol(self) -> Hours | Episodes:
        """How it is measured."""

    @property
    def trained_on(self) -> Scenario:
        """The scenario that policies for this one are trained on: itself, unless something changes while it runs."""
        return self

    @property
    def sound(self) -> Scenario:
        """The scenario over a network without faults: what figures without control are measured on."""
        return self

    def over(self, hours: Hours) -> Scenario:
        """The scenario that policies are trained on, with another warm-up and other measured hours.

        Raises:
            UsageError: it cannot be measured on other hours.
        """
        raise UsageError(f"scenario '{self.address}' cannot be measured on other hours")

    @property
    def validation(self) -> Scenario | None:
        """What learning curves over hours are measured on; None for the scenario itself."""
        return None

    def budgets(self) -> tuple[Budget, ...]:
        """The shared budgets."""
        return ()

    @property
    def scales(self) -> Scales:
        """What numbers are read against."""
        return Scales()

    def optimum(self) -> Bound | Infeasible | None:
        """The yardstick of every run: the optimum with perfect foresight, or the proof that there is none.

        None where nobody computes one.

        Raises:
            UsageError: it is too large to compute.
        """
        return None

    @property
    def comparison_key(self) -> dict[str, Any]:
        """What `optimum` and the figures without control depend on."""
        return {"address": self.address, "data": self.digest}


@dataclass(frozen=True)
class EpisodicScenario(Scenario):
    """A task without budgets that is measured by the mean return of its episodes.

    Attributes:
        make: Makes a task, given the device.
        references: Known mean returns, summed over agents, by what earns them.
        episodes: Episodes of an evaluation.
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

    @property
    def on_processor(self) -> bool:
        """Third-party tasks."""
        return bool(self.package)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the address and the version of the package, hex."""
        return hashlib.sha256(f"{self.address} {self.package} {self._version() or 'absent'}".encode()).hexdigest()

    @property
    def protocol(self) -> Episodes:
        """Episodes, each up to its own end."""
        return Episodes(self.episodes, self.references)

    def task(self, device: str = "cpu") -> Task:
        """A fresh task; third-party ones live on the CPU.

        Raises:
            UsageError: its package is not installed.
        """
        self.check()
        return self.make(device)

    def check(self) -> None:
        """Raise a `UsageError` where the package is not installed."""
        if self.package and self._version() is None:
            raise UsageError(f"scenario '{self.address}' needs the package {self.package}: pip install {self.package}")

    def _version(self) -> str | None:
        try:
            return version(self.package) if self.package else ""
        except PackageNotFoundError:
            return None


def _no_files(address: str) -> Sequence[Path]:
    return ()


@dataclass(frozen=True)
class Family:
    """A kind of scenario, known by the first word of its addresses up to a slash or an underscore.

    Attributes:
        resolve: From an address to its scenario; raises a `UsageError` for one without a meaning.
        words: For `accord list`: pairs of what can be typed and what it means.
        examples: Addresses on which the family is checked, see `envs.testing`.
        episodic: Its scenarios are measured in episodes: by return, without budgets.
        files: The files and folders that an address names; where one changes, the address is resolved anew.
    """

    resolve: Callable[[str], Scenario]
    words: Callable[[], Sequence[tuple[str, str]]]
    examples: tuple[str, ...]
    episodic: bool = False
    files: Callable[[str], Sequence[Path]] = _no_files
