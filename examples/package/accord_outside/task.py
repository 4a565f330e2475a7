"""A constrained task: agents share a resource that is worth more to some than to others.

In every hour agent i takes a_i in [0, 1] of it and earns v_i·a_i, v_i = i + 1; together they may take C·N on average.
The best plan serves who values it most, and its multiplier is the value of the last who is served.

    sharing_N/NETWORK/C     like sharing_5/ring/0.5
"""

# --8<-- [start:task]
import hashlib
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from accord.envs.errors import UsageError
from accord.envs.network import Network
from accord.envs.scenario import Bound, Family, Hours, Infeasible, Scales, Scenario
from accord.envs.task import Box, Budget, Field, Initial, Step, Task, TaskSpec

HOURS = Hours(training=(0, 240), warmup=0, measured=(24, 120))


class Sharing(Task):
    """`B` copies; actions [B, N, 1] are what each agent takes."""

    def __init__(self, value: Tensor, budgets: tuple[Budget, ...]) -> None:
        n = len(value)
        self.value = value
        self.spec = TaskSpec(
            name="sharing",
            n_agents=n,
            obs_fields={"value": Field(slice(0, 1), "$", "mean value")},
            action=Box(1),
            state_dim=n,
            horizon=24,
            budgets=budgets,
            resources=("share",),
            separable=True,
            price_scale=float(value.mean()),
            agent_scale=torch.ones(n),
            agent_types=torch.zeros(n, dtype=torch.long),
            units={"taken": "-"},
        )

    def reset(
        self,
        batch: int,
        generator: torch.Generator,
        *,
        start: int | None = None,
        horizon: int | None = None,
        initial: Initial = "zero",
    ) -> Step:
        self._batch, self._elapsed = batch, 0
        self._horizon = self.spec.horizon if horizon is None else horizon
        return self._show(torch.zeros(batch, self.spec.n_agents), counted=0.0)

    def step(self, actions: Tensor) -> Step:
        self._elapsed += 1
        return self._show(actions[..., 0].clamp(0.0, 1.0), counted=1.0)

    def state(self) -> Tensor:
        return self._seen().expand(self._batch, -1)

    def active(self, ahead: int) -> Tensor:
        return torch.ones(self._batch, ahead, len(self.spec.budgets))

    def take(self, agents: Tensor) -> "Sharing":
        share = len(agents) / self.spec.n_agents
        budgets = tuple(
            Budget(b.name, b.resource, b.hours, b.limit * share, b.scale * share) for b in self.spec.budgets
        )
        return Sharing(self.value[agents], budgets)

    def _seen(self) -> Tensor:
        return self.value / self.value.mean()

    def _show(self, taken: Tensor, counted: float) -> Step:
        batch, over = len(taken), self._elapsed >= self._horizon
        return Step(
            obs=self._seen().expand(batch, -1)[..., None].clone(),
            reward=self.value * taken,
            usage=taken[..., None],
            shortfall=None,
            active=self.active(self.spec.ahead),
            counted=torch.full((batch, len(self.spec.budgets)), counted),
            measures={"taken": taken},
            terminated=torch.zeros(batch, dtype=torch.bool),
            truncated=torch.full((batch,), over),
            alive=torch.ones_like(taken, dtype=torch.bool),
        )


# --8<-- [end:task]
# --8<-- [start:scenario]
@dataclass(frozen=True)
class SharingScenario(Scenario):
    """One address of the family."""

    agents: int
    network_name: str
    level: float

    @property
    def n_agents(self) -> int:
        return self.agents

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"sharing {self.agents}".encode()).hexdigest()

    @property
    def protocol(self) -> Hours:
        return HOURS

    @property
    def audited_at(self) -> str:  # type: ignore[override]
        return f"sharing_{self.agents}/path/{self.level:g}"

    @property
    def scales(self) -> Scales:
        return Scales(peak=float(self.agents), level=self.level)

    def values(self) -> Tensor:
        return torch.arange(1.0, self.agents + 1)

    def budgets(self) -> tuple[Budget, ...]:
        limit = self.level * self.agents
        return (Budget("average", 0, torch.ones(24, dtype=torch.bool), limit, limit),)

    def task(self, device: str = "cpu") -> Sharing:
        return Sharing(self.values(), self.budgets())

    def network(self) -> Network:
        return Network.build(self.network_name, self.agents)

    def optimum(self) -> Bound | Infeasible:
        """Serve the highest values first."""
        value, left = self.values().flip(0), self.level * self.agents
        taken = (left - torch.arange(self.agents)).clamp(0.0, 1.0)
        worth, last = float((value * taken).sum()), float(value[taken > 0][-1])
        return Bound(-worth, torch.tensor([last / float(value.mean())]))


def resolve(address: str) -> SharingScenario:
    match = re.fullmatch(r"sharing_([2-9])/([^/]+)/(0?\.\d+)", address)
    if match is None:
        raise UsageError(f"address '{address}': allowed: sharing_N/NETWORK/C with N from 2 to 9, C below 1")
    return SharingScenario(address, int(match[1]), match[2], float(match[3]))


SHARING = Family(
    resolve,
    lambda: [("sharing_N/NETWORK/C", "a resource that some value more than others, C of what all want")],
    ("sharing_5/ring/0.5",),
)
# --8<-- [end:scenario]
