"""SB3's PPO trains on a constrained task, through SuperSuit, with one policy for all agents."""

import supersuit
import torch
from stable_baselines3 import PPO

import accord

ADDRESS = "campus_seven/two_groups/hourly-0.35"


def test_ppo_trains_one_iteration() -> None:
    env = accord.parallel_env(ADDRESS, price=0.5, horizon=12)
    agents = supersuit.pettingzoo_env_to_vec_env_v1(env)
    copies = supersuit.concat_vec_envs_v1(agents, 2, num_cpus=0, base_class="stable_baselines3")
    torch.manual_seed(0)  # PPO's own seed goes to a method that SuperSuit's environments lack
    model = PPO("MlpPolicy", copies, n_steps=24, batch_size=7 * 24, n_epochs=1, device="cpu")
    before = [value.detach().clone() for value in model.policy.parameters()]
    model.learn(14 * 24)
    assert model.num_timesteps == 14 * 24
    assert any(not torch.equal(one, other) for one, other in zip(before, model.policy.parameters(), strict=True))


def test_a_batch_has_the_order_and_the_numbers_of_supersuit() -> None:
    one = supersuit.pettingzoo_env_to_vec_env_v1(accord.parallel_env(ADDRESS, price=0.5))
    many = accord.vector_env(ADDRESS, 1, price=0.5)
    seen = [env.reset(seed=3)[0] for env in (one, many)]
    actions = many.single_action_space.sample()[None].repeat(7, 0)
    for _ in range(5):
        assert (seen[0] == seen[1]).all()
        outcomes = [env.step(actions) for env in (one, many)]
        seen = [outcome[0] for outcome in outcomes]
        assert (outcomes[0][1] == outcomes[1][1]).all()
