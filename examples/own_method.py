"""A learning method of one's own: the gradient goes through the district's dynamics, with a price for each budget.

python examples/own_method.py
"""

# --8<-- [start:method]
import time

import torch

from accord.baselines.base import Method
from accord.baselines.network_controller import NetworkController
from accord.baselines.registry import register
from accord.envs.task import budget_usage


@register("through-dynamics", "own observation")
class ThroughDynamics(Method):
    """One network for all agents, which learns from how an episode's cost depends on its actions."""

    learns = random = True

    def build(self, task, generator):
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        layers = torch.nn.Linear(task.spec.obs_dim, 64), torch.nn.Tanh(), torch.nn.Linear(64, task.spec.action.size)
        return NetworkController(torch.nn.Sequential(*layers, torch.nn.Sigmoid()).to(task.device))

    def train(self, task, network, training):
        controller, spec, done, began = self.build(task, training.generator), task.spec, 0, time.perf_counter()
        adam = torch.optim.Adam(controller.net.parameters(), 3e-3)
        prices = torch.zeros(len(spec.budgets), device=task.device)
        while done < training.effort.steps and time.perf_counter() - began < training.effort.seconds:
            step, loss, excess = task.reset(16, training.generator, horizon=24, initial="random"), 0.0, 0.0
            for _ in range(24):
                step = task.step(controller.act(step))
                over = (budget_usage(spec, step).sum(1) - step.counted * spec.limits).mean(0)  # [budgets]
                loss, excess = loss - step.reward.sum(-1).mean() + spec.price_scale * prices @ over, excess + over
            adam.zero_grad()
            (loss + 2 * spec.price_scale * step.measures["waiting_load"].sum(-1).mean()).backward()
            adam.step()
            prices = (prices + 0.03 * excess.detach() / spec.limits).clamp_min(0.0)
            done += 16 * 24 * spec.n_agents
            training.log({"steps": done, "seconds": time.perf_counter() - began})
        return controller


# --8<-- [end:method]


if __name__ == "__main__":
    # --8<-- [start:run]
    import accord

    record = accord.run("campus_seven/two_groups/hourly-0.35", "through-dynamics", steps=1_000_000)
    print({name: record.metrics[name] for name in ("verdict", "violation", "optimality_gap", "delay", "train_seconds")})
    # --8<-- [end:run]
