"""Environments from other packages, as scenarios.

    mpe2/simple_spread_v3    three agents cover three landmarks (Lowe et al. 2017), 25 steps
    lbf/8x8-2p-2f-coop       level-based foraging (Papoudakis et al. 2021), both agents load together, 50 steps

Their packages are optional; a scenario says which one it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import gymnasium
from pettingzoo import ParallelEnv

from accord.envs.errors import UsageError
from accord.envs.scenario import EpisodicScenario, Family
from accord.envs.wrappers.from_parallel import TaskFromParallel


@dataclass(frozen=True)
class Known:
    """A third-party environment: how to make it and what is known of it, summed over agents."""

    make: Callable[[], Any]
    references: Mapping[str, float]


def _simple_spread() -> Any:
    module = import_module("mpe2.simple_spread_v3")
    return module.parallel_env(max_cycles=25, local_ratio=0.5, continuous_actions=False)


def _foraging(name: str) -> Any:
    return Foraging(f"Foraging-{name}-v3")


# Random and hand-coded returns were measured over 1,000 episodes.
_MPE2 = {"simple_spread_v3": Known(_simple_spread, {"random": -78.4, "hand-coded": -23.3})}
_LBF = {"8x8-2p-2f-coop": Known(lambda: _foraging("8x8-2p-2f-coop"), {"random": 0.005, "optimum": 1.0})}


class Foraging(ParallelEnv):
    """Level-based foraging, a gymnasium environment with tuples for agents, as a `ParallelEnv`.

    Lbforaging reports the time limit as an end; here it truncates. Once the field is empty the game is over.
    """

    def __init__(self, name: str) -> None:
        """Set up.

        Args:
            name: The environment's name in gymnasium's registry.
        """
        self._env = _make_foraging(name)
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": True}
        self.render_mode: str | None = None
        self.max_cycles = int(self._env._max_episode_steps)
        self.possible_agents = [f"agent_{i}" for i in range(len(self._env.players))]
        self.agents: list[str] = []
        self._observed = dict(zip(self.possible_agents, self._env.observation_space, strict=True))
        self._acted = dict(zip(self.possible_agents, self._env.action_space, strict=True))

    def observation_space(self, agent: str) -> gymnasium.spaces.Space:
        """Food and players, own place first: rows, columns and levels."""
        return self._observed[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space:
        """Stay, north, south, west, east, load."""
        return self._acted[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict, dict]:
        """Begin an episode; without a seed the generator goes on."""
        observations, _ = self._env.reset(seed=seed)
        self.agents = list(self.possible_agents)
        return self._by_agent(observations), {agent: {} for agent in self.agents}

    def step(self, actions: Mapping[str, Any]) -> tuple[dict, dict, dict, dict, dict]:
        """One action per agent; all of them leave together."""
        acting = self.agents
        observations, rewards, over, _, _ = self._env.step([int(actions[agent]) for agent in acting])
        empty = not self._env.field.any()
        self.agents = [] if over else acting
        return (
            self._by_agent(observations),
            dict(zip(acting, map(float, rewards), strict=True)),
            dict.fromkeys(acting, bool(over and empty)),
            dict.fromkeys(acting, bool(over and not empty)),
            {agent: {} for agent in acting},
        )

    def render(self) -> None:
        """Draw nothing: there are no render modes."""

    def close(self) -> None:
        """Release nothing: no window is open."""

    def _by_agent(self, observations: Any) -> dict[str, Any]:
        return dict(zip(self.possible_agents, observations, strict=True))


def _make_foraging(name: str) -> Any:
    import_module("lbforaging")  # registers its environments
    env: Any = gymnasium.make(name, disable_env_checker=True).unwrapped
    env.players = _players(len(env.players))
    return env


def _players(count: int) -> list[Any]:
    """Players in a set come in the order of their hashes, by default of their addresses: here of their numbers."""
    module = import_module("lbforaging.foraging.environment")

    class Player(module.Player):  # type: ignore[name-defined]
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def __hash__(self) -> int:
            return self.number

    return [Player(number) for number in range(count)]


def _resolve(address: str, known: Mapping[str, Known], package: str) -> EpisodicScenario:
    kind, _, name = address.partition("/")
    if name not in known:
        raise UsageError(f"address '{address}': unknown environment '{name}' of {kind}; allowed: {', '.join(known)}")
    entry = known[name]
    return EpisodicScenario(address, lambda device: TaskFromParallel(entry.make), entry.references, package=package)


def _family(kind: str, known: Mapping[str, Known], package: str) -> Family:
    addresses = tuple(f"{kind}/{name}" for name in known)
    words = [(address, f"of the package {package}") for address in addresses]
    return Family(partial(_resolve, known=known, package=package), lambda: words, addresses, episodic=True)


MPE2 = _family("mpe2", _MPE2, "mpe2")
LBF = _family("lbf", _LBF, "lbforaging")
