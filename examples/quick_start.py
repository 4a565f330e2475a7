"""A task, its PettingZoo face, and one run of a rule.

python examples/quick_start.py
"""

# --8<-- [start:body]
import accord

task = accord.make("campus_seven/two_groups/hourly-0.35")  # batched torch task, [B, N, ...]
env = accord.parallel_env("campus_seven/two_groups/hourly-0.35")  # PettingZoo ParallelEnv

observations, infos = env.reset(seed=0)
actions = {agent: env.action_space(agent).sample() for agent in env.agents}
observations, rewards, terminations, truncations, infos = env.step(actions)

record = accord.run("homes_17/ring/average-0.2", "rule_based")
print(record.metrics["verdict"], record.metrics["violation"], record.metrics["optimality_gap"])
# --8<-- [end:body]
