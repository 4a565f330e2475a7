"""A district of twenty thousand buildings over two processes, under a policy that was trained on a few.

python examples/many_processes.py
"""

# --8<-- [start:body]
import torch

import accord.baselines  # every method by name
from accord.baselines.base import Effort, Training
from accord.baselines.consensus.sharded_rollout import ShardedConsensus
from accord.benchmark.launch.workers import LocalWorkers
from accord.envs.catalogue import resolve_district


def main() -> None:
    scenario = resolve_district("synthetic_20000/regular-4/average-0.3")
    method = accord.baselines.make_method("consensus-gossip", {"copies": 4})
    training = Training(Effort(steps=20_000, seconds=60), torch.Generator().manual_seed(0))
    controller = method.train(scenario.task(), scenario.network(), training)

    with LocalWorkers(2) as workers:  # on a Ray cluster: RayWorkers(2, "HOST:6379")
        district = ShardedConsensus(scenario, controller.actors[0], controller.config.dual, workers, by="graph")
        district.reset(scenario.district.measured[0])
        district.run(hours=24)
        print(f"{district.gather('imported').sum():.0f} kWh in the last hour")
        traffic = district.traffic()
        print(f"{traffic.messages:,} messages, {traffic.crossed_messages:,} of them between the processes")


if __name__ == "__main__":  # the processes import this file
    main()
# --8<-- [end:body]
