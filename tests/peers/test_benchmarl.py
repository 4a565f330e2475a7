"""BenchMARL's MAPPO trains on a constrained task: one copy by its PettingZoo wrapper, or a batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarl.algorithms import MappoConfig
from benchmarl.environments.pettingzoo.common import PettingZooClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models import MlpConfig
from torchrl.data import Composite
from torchrl.envs import PettingZooWrapper

import accord

ADDRESS, PRICE = "campus_seven/two_groups/hourly-0.35", 0.5
COPIES, HORIZON = 4, 12


class AccordTask(PettingZooClass):
    """A scenario as a task of BenchMARL."""

    batched = False

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any) -> Callable[[], Any]:
        if self.batched:
            return lambda: accord.torchrl_env(ADDRESS, num_envs, price=PRICE, horizon=HORIZON, device=device)
        env = accord.parallel_env(ADDRESS, price=PRICE, horizon=HORIZON)
        return lambda: PettingZooWrapper(env, return_state=True, seed=seed, device=device)

    def supports_continuous_actions(self) -> bool:
        return True

    def supports_discrete_actions(self) -> bool:
        return False

    def has_state(self) -> bool:
        return True

    def has_render(self, env: Any) -> bool:
        return False

    def max_steps(self, env: Any) -> int:
        return HORIZON


class BatchedAccordTask(AccordTask):
    """The same in one batch; BenchMARL asks for the specs of one copy."""

    batched = True

    def observation_spec(self, env: Any) -> Composite:
        return self._part_of_group(env, "observation")

    def info_spec(self, env: Any) -> Composite:
        return self._part_of_group(env, "info")

    def state_spec(self, env: Any) -> Composite:
        return Composite({"state": env.full_observation_spec_unbatched["state"]})

    def action_mask_spec(self, env: Any) -> None:
        return None

    def action_spec(self, env: Any) -> Composite:
        return env.full_action_spec_unbatched

    def _part_of_group(self, env: Any, name: str) -> Composite:
        spec = env.full_observation_spec_unbatched.clone()
        del spec["state"]
        for key in [key for key in spec["agent"].keys() if key != name]:  # noqa: SIM118
            del spec["agent", key]
        return spec


@pytest.mark.parametrize("kind", [AccordTask, BatchedAccordTask])
def test_mappo_trains_one_iteration(kind: type[AccordTask], tmp_path: Path) -> None:
    config = ExperimentConfig.get_from_yaml()
    config.loggers, config.create_json, config.evaluation, config.render = [], False, False, False
    config.save_folder, config.max_n_iters, config.max_n_frames = str(tmp_path), 1, None
    config.on_policy_n_envs_per_worker = COPIES if kind.batched else 1
    config.on_policy_collected_frames_per_batch = COPIES * HORIZON
    config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = COPIES * HORIZON, 1
    model = MlpConfig.get_from_yaml()
    model.num_cells = [16]
    experiment = Experiment(kind("accord", {}), MappoConfig.get_from_yaml(), model, 0, config)
    before = [value.detach().clone() for value in experiment.policy.parameters()]
    rows: list[dict[str, float]] = []
    experiment.logger.log = lambda values, step=None: rows.append(values)
    experiment.run()
    assert any(not torch.equal(one, other) for one, other in zip(before, experiment.policy.parameters(), strict=True))
    names = {name for row in rows for name in row}
    assert {"collection/agent/info/cost/hour_05", "collection/agent/info/waiting_load"} <= names
