"""BenchMARL's IPPO, MAPPO, QMIX and VDN on our task: the peers' side of `benchmark.performance.throughput`.

A script for an environment of its own, because BenchMARL pins what Accord does not need:
`make bench-peers` builds it, or

    python -m venv .venv-peers
    .venv-peers/bin/pip install -c constraints.txt torch
    .venv-peers/bin/pip install -c constraints.txt benchmarl==1.5.2 -e .
    .venv-peers/bin/python -m accord.benchmark.performance.peers --algorithms mappo,qmix --width 64 --seconds 20

Every algorithm keeps BenchMARL's defaults; only the network's width is chosen. What is switched off costs
time without learning: loggers, evaluation, rendering, checkpoints. It prints one JSON line per algorithm.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from pettingzoo.utils import BaseParallelWrapper
from torch import Tensor

import accord
from accord.baselines.base import Controller
from accord.benchmark.machine import Busy
from accord.benchmark.performance.quality import WORTH, PricedGoal
from accord.benchmark.performance.throughput import SCENARIO, WorkCount, gemm_rate
from accord.envs.task import Box, Step
from accord.envs.wrappers.discrete_actions import grid_points

INSTALL = "pip install -c constraints.txt torch, then pip install -c constraints.txt benchmarl==1.5.2 -e ."
ALGORITHMS = ("ippo", "mappo", "qmix", "vdn")
LEVELS = 5  # per dimension of the action box, for algorithms with discrete actions


@dataclass(frozen=True)
class Prices:
    """A fixed Lagrangian, so that a learner without multipliers has something to learn.

    Attributes:
        use: λ of every budget, in mean prices.
        shortfall: ν, of the local equality, in mean prices; negative, so that postponing costs.
    """

    use: float = 0.5
    shortfall: float = -2.0


class PeerEnv(BaseParallelWrapper):
    """Our PettingZoo task with priced constraints, with rewards in mean prices per own size, and empty infos.

    Infos are dropped because torchrl stores numbers only, and storing ours would slow it down. Plants start
    at random, as they do where our own methods train.
    """

    def __init__(self, address: str, prices: Prices, discrete: bool) -> None:
        """Set up.

        Args:
            address: The scenario's.
            prices: λ and ν.
            discrete: Actions are the points of a grid over the box.
        """
        names = [budget.name for budget in accord.make(address).spec.budgets]
        price = dict.fromkeys(names, prices.use) | {"shortfall": -prices.shortfall}
        env = accord.parallel_env(address, price=price, discrete=LEVELS if discrete else None)
        super().__init__(env)
        spec = env.task.spec
        sizes = spec.price_scale * (spec.usage_scale * spec.agent_scale).expand(spec.n_agents)
        self._sizes = dict(zip(env.possible_agents, sizes.tolist(), strict=True))

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode from a random hour and plant."""
        observations, infos = self.env.reset(seed, {"initial": "random"} | (options or {}))
        return observations, {agent: {} for agent in infos}

    def step(self, actions: Mapping[str, Any]) -> tuple[Any, dict[str, float], Any, Any, dict[str, Any]]:
        """One hour; see `ParallelTask.step`."""
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        paid = {agent: reward / self._sizes[agent] for agent, reward in rewards.items()}
        return observations, paid, terminations, truncations, {agent: {} for agent in infos}


def make_task(address: str, prices: Prices, discrete: bool) -> Any:
    """A scenario as a BenchMARL task, through torchrl's PettingZoo wrapper."""
    from benchmarl.environments.pettingzoo.common import PettingZooClass  # type: ignore[import-not-found]
    from torchrl.envs import PettingZooWrapper  # type: ignore[import-not-found]

    class AccordTask(PettingZooClass):
        def get_env_fun(
            self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any
        ) -> Callable[[], Any]:
            # One seed per copy: BenchMARL calls this once and what it returns once per copy.
            seeds = itertools.count(seed or 0)
            return lambda: PettingZooWrapper(
                PeerEnv(address, prices, discrete), return_state=True, seed=next(seeds), device=device
            )

        def supports_continuous_actions(self) -> bool:
            return not discrete

        def supports_discrete_actions(self) -> bool:
            return discrete

        def has_state(self) -> bool:
            return True

        def has_render(self, env: Any) -> bool:
            return False

        def max_steps(self, env: Any) -> int:
            return accord.envs.make(address).spec.horizon

        def __reduce__(self) -> tuple[Any, ...]:
            # BenchMARL pickles its task, and a class made in a function has no name to be found by.
            return make_task, (address, prices, discrete)

    return AccordTask(address.replace("/", "-"), {})


def make_experiment(algorithm: str, address: str, width: int, prices: Prices, seed: int, folder: str) -> Any:
    """BenchMARL's experiment with its defaults, two hidden layers of `width`, and nothing that only reports."""
    from benchmarl.algorithms import algorithm_config_registry  # type: ignore[import-not-found]
    from benchmarl.experiment import Experiment, ExperimentConfig  # type: ignore[import-not-found]
    from benchmarl.models import MlpConfig  # type: ignore[import-not-found]

    kind = algorithm_config_registry[algorithm]
    config = ExperimentConfig.get_from_yaml()
    config.loggers, config.create_json, config.evaluation, config.render = [], False, False, False
    config.save_folder = folder
    model = MlpConfig.get_from_yaml()
    model.num_cells = [width, width]
    task = make_task(address, prices, discrete=not kind.supports_continuous_actions())
    return Experiment(task, kind.get_from_yaml(), model, seed, config)


class _Enough(KeyboardInterrupt):
    """Ends BenchMARL's loop the way that it closes gracefully on."""


def train(experiment: Any, enough: Callable[[list[dict[str, float]]], bool]) -> list[dict[str, float]]:
    """Train until `enough` of the timers of every iteration so far; whole iterations, so at least one.

    Returns:
        BenchMARL's own timers and counters of every iteration: `timers/collection_time`,
        `timers/training_time`, `timers/iteration_time`, `counters/current_frames`.
    """
    rows: list[dict[str, float]] = []

    def log(values: dict[str, float], step: int | None = None) -> None:
        if "timers/iteration_time" in values:
            rows.append(values)
            if enough(rows):
                raise _Enough

    experiment.logger.log = log
    with contextlib.suppress(_Enough), contextlib.redirect_stdout(sys.stderr):
        experiment.run()
    return rows


def measure(
    algorithm: str, address: str, width: int, seconds: float, frames: int, seed: int, quality: bool
) -> dict[str, Any]:
    """One row: how fast an algorithm trains on a scenario, where its time goes and, if asked, how good it gets."""
    goal = PricedGoal(address) if quality else None
    prices = Prices() if goal is None else Prices(goal.multiplier, -WORTH * goal.paid - goal.multiplier)
    looks: list[dict[str, Any]] = []

    def enough(rows: list[dict[str, float]]) -> bool:
        spent = _total(rows, "timers/iteration_time")
        if goal is not None:
            looks.append(goal.look(PeerController(experiment), spent))
        good = bool(looks) and looks[-1]["good"]
        return good or spent >= seconds or _total(rows, "counters/current_frames") >= frames

    rate = gemm_rate()
    with tempfile.TemporaryDirectory() as folder, WorkCount() as work:
        experiment = make_experiment(algorithm, address, width, prices, seed, folder)
        with Busy() as busy:
            rows = train(experiment, enough)
    config, on_policy = experiment.config, experiment.on_policy
    n_agents = sum(len(agents) for agents in experiment.group_map.values())
    done, spent = _total(rows, "counters/current_frames"), _total(rows, "timers/iteration_time")
    return {
        "library": f"benchmarl {version('benchmarl')}",
        "method": algorithm,
        "scenario": address,
        "n_agents": n_agents,
        "width": width,
        "frames": int(done),
        "agent_steps": int(done) * n_agents,
        "seconds": spent,
        "processor_seconds": spent * busy.share,
        "collect_seconds": _total(rows, "timers/collection_time") * busy.share,
        "update_seconds": _total(rows, "timers/training_time") * busy.share,
        "agent_samples": work.samples,
        "update_gflop": work.gflop,
        "gemm_gflops": rate,
        "busy": busy.share,
        "settings": {
            "copies": config.n_envs_per_worker(on_policy),
            "frames_per_iteration": config.collected_frames_per_batch(on_policy),
            "minibatch_frames": config.train_minibatch_size(on_policy),
            "passes": config.n_optimizer_steps(on_policy),
            "iterations": len(rows),
            "prices": asdict(prices),
        },
        **({"looks": looks} if quality else {}),
    }


class PeerController(Controller):
    """BenchMARL's policy without noise, as a controller that our harness can roll out."""

    def __init__(self, experiment: Any) -> None:
        """Set up.

        Args:
            experiment: What trains it.
        """
        self._policy, self._group = experiment.policy, next(iter(experiment.group_map))
        self._discrete = not experiment.continuous_actions

    def act(self, step: Step) -> Tensor:
        """Actions [1, N, A]."""
        from tensordict import TensorDict  # type: ignore[import-not-found]
        from torchrl.envs.utils import ExplorationType, set_exploration_type  # type: ignore[import-not-found]

        # The harness's tensors are of inference mode, which modules that also learn cannot keep.
        with torch.inference_mode(False), torch.no_grad(), set_exploration_type(ExplorationType.DETERMINISTIC):
            seen = TensorDict({"observation": step.obs.clone()}, step.obs.shape[:2])
            chosen = self._policy(TensorDict({self._group: seen}, step.obs.shape[:1]))[self._group, "action"]
        if self._discrete and isinstance(self.spec.action, Box):
            return grid_points(self.spec.action, LEVELS)[chosen]
        return chosen


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m accord.benchmark.performance.peers", description="BenchMARL on our task."
    )
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS), help="Separated by commas.")
    parser.add_argument("--scenario", default=SCENARIO, help="District / network / budget.")
    parser.add_argument("--width", type=int, default=64, help="Units of each of the two hidden layers.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Stop after the iteration that passes this.")
    parser.add_argument("--frames", type=int, default=sys.maxsize, help="Stop after the iteration that passes this.")
    parser.add_argument("--quality", action="store_true", help="Look at the policy after every iteration.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of everything.")
    given = parser.parse_args(arguments)
    if find_spec("benchmarl") is None:
        parser.error(f"benchmarl is not installed in {sys.prefix}; run `make bench-peers`, or {INSTALL}")
    _on_one_thread(sys.argv[1:] if arguments is None else arguments)
    for algorithm in given.algorithms.split(","):
        if algorithm not in ALGORITHMS:
            parser.error(f"unknown algorithm '{algorithm}'; allowed: {', '.join(ALGORITHMS)}")
        row = measure(algorithm, given.scenario, given.width, given.seconds, given.frames, given.seed, given.quality)
        print(json.dumps(row), flush=True)


def _on_one_thread(arguments: list[str]) -> None:
    """Start over with `OMP_NUM_THREADS=1`: torchrl undoes `torch.set_num_threads` when it closes an environment."""
    if (os.environ.get("OMP_NUM_THREADS"), os.environ.get("RL_LOGGING_LEVEL")) != ("1", "WARNING"):
        again = [sys.executable, "-P", "-m", "accord.benchmark.performance.peers", *arguments]
        # Its messages go to standard output, which is for rows.
        os.execve(sys.executable, again, os.environ | {"OMP_NUM_THREADS": "1", "RL_LOGGING_LEVEL": "WARNING"})


def _total(rows: list[dict[str, float]], key: str) -> float:
    return float(sum(row[key] for row in rows))


if __name__ == "__main__":
    main()
