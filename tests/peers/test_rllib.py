"""RLlib's PPO trains on a constrained task, through its PettingZoo wrapper, with one policy for all agents."""

from typing import Any

import ray
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

import accord

ADDRESS = "campus_seven/two_groups/hourly-0.35"


def test_ppo_trains_one_iteration() -> None:
    register_env("accord", lambda _: ParallelPettingZooEnv(accord.parallel_env(ADDRESS, price=0.5, horizon=12)))
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        config = (
            PPOConfig()
            .environment("accord")
            .env_runners(num_env_runners=0)
            .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
            .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[16]))
            .training(train_batch_size_per_learner=24, minibatch_size=24, num_epochs=1)
        )
        algorithm = config.build_algo()
        found: dict[str, Any] = algorithm.train()
        assert found["env_runners"]["num_env_steps_sampled"] >= 24
        assert found["learners"]["shared"]["num_module_steps_trained"] > 0
        algorithm.stop()
    finally:
        ray.shutdown()
