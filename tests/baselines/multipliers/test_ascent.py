"""Multipliers that are learned in training: how they move, and that they are part of a checkpoint."""

import pytest
import torch
from helpers.training import train

from accord.baselines import make_method
from accord.baselines.multipliers.ascent import HOURS, DualAscent
from accord.baselines.multipliers.held import ConstraintConfig, HeldMultipliers
from accord.baselines.testing import MemoryCheckpoint, differences
from accord.envs import make
from accord.envs.network import Network
from accord.envs.task import Task

AVERAGE, HOURLY = "paper_seven/ring/average-0.27", "campus_seven/ring/hourly-0.35"
BINDING = "paper_seven/ring/average-0.1"  # no policy meets it, so that its price must rise
TINY = {"lanes": 14}
COPIES = 8
NETWORK = Network.build("ring", 7)
PPO = TINY | {"ppo": {"hidden": [8], "minibatch": 168}}
VALUES = TINY | {"hidden": [8], "batch": 2, "updates": 1, "buffer": 10, "target_update": 7, "mixer_width": 4}


def ascent(task: Task, config: ConstraintConfig, own: bool = False) -> tuple[DualAscent, HeldMultipliers]:
    """The ascent of multipliers under a policy that serves everything at once."""
    held = HeldMultipliers(task.spec, "lagrangian", config, own)
    controller = make_method("serve_now").build(task, torch.Generator())
    moving = DualAscent(task, controller, held, config, NETWORK, torch.Generator().manual_seed(4))
    assert moving.size(groups=64) == COPIES * task.spec.n_agents * 2 * HOURS
    return moving, held


def day_of_use(task: Task) -> torch.Tensor:
    """Mean use [N, m] of everybody at once in the second day of `ascent`'s first update."""
    task.reset(COPIES, torch.Generator().manual_seed(4), horizon=2 * HOURS)
    steps = [task.step(torch.ones(COPIES, task.spec.n_agents, 2)) for _ in range(2 * HOURS)][HOURS:]
    used = sum((step.counted[:, None] * step.usage).sum(0) for step in steps)
    return used / sum(step.counted.sum(0) for step in steps)


def test_only_prices_of_exceeded_budgets_rise() -> None:
    task = make(HOURLY)
    config = ConstraintConfig(price=1.0, tighten=0.0, lr=0.1, clip=0.4)
    moving, held = ascent(task, config)
    largest = moving.update()["largest_excess"]
    excess = day_of_use(task).sum(0) / task.spec.limits - 1
    assert 0 < (excess > 0).sum() < HOURS
    torch.testing.assert_close(held.lam[0], 1.0 + 0.1 * excess.clamp(-0.4, 0.4))
    assert largest == pytest.approx(float(excess.max()), rel=1e-5)


def test_prices_stay_between_zero_and_their_limit() -> None:
    task = make(HOURLY)
    moving, held = ascent(task, ConstraintConfig(price=0.5, lr=2.0, lambda_max=1.5))
    for _ in range(3):
        moving.update()
    assert held.lam.min() == 0.0
    assert held.lam.max() == 1.5


def test_agents_with_prices_of_their_own_look_at_their_own_share() -> None:
    task = make("paper_seven/ring/average-0.2")
    config = ConstraintConfig(price=1.0, lr=0.1, clip=9.0, tighten=0.1)
    moving, held = ascent(task, config, own=True)
    moving.update()
    share = task.spec.limits / 7
    torch.testing.assert_close(held.lam, 1.0 + 0.1 * (day_of_use(task) / share - 0.9))
    assert held.lam[2] > held.lam[0]  # twice the size on the same share


def test_local_price_follows_the_shortfall() -> None:
    task = make(AVERAGE)
    config = ConstraintConfig(nu=-1.0, nu_lr=0.5)
    held = HeldMultipliers(task.spec, "lagrangian", config, False)
    nobody = make_method("random").build(task, torch.Generator())
    nobody.act = lambda step: torch.zeros(4, 7, 2)  # type: ignore[method-assign]
    DualAscent(task, nobody, held, config, NETWORK, torch.Generator().manual_seed(4)).update()
    task.reset(4, torch.Generator().manual_seed(4), horizon=2 * HOURS)
    demand = torch.stack([task.step(torch.zeros(4, 7, 2)).measures["demand"] for _ in range(2 * HOURS)][HOURS:])
    assert float(held.nu) == pytest.approx(-1.0 - 0.5 * float(demand.mean()) / task.spec.usage_scale, rel=1e-5)


@pytest.mark.parametrize(("name", "settings", "hours"), [("mappo", PPO, 24), ("vdn", VALUES, 20)])
def test_days_that_measure_what_is_used_are_training_that_nobody_learns_from(
    name: str, settings: dict, hours: int
) -> None:
    _, rows = train(f"{name}-lagrangian", BINDING, settings, 8_000)
    learned, probed = 2 * 7 * hours, 4 * 7 * 2 * 24  # copies, agents and hours
    assert [row["learned_steps"] for row in rows] == [learned * n for n in range(1, len(rows) + 1)]
    assert rows[-1]["steps"] == len(rows) * (learned + probed)
    _, rows = train(f"{name}-augmented", AVERAGE, settings, 4_000)
    assert all(row["learned_steps"] == row["steps"] for row in rows)


def test_interrupted_training_keeps_the_mixture_and_the_plant_of_the_probe() -> None:
    name, settings, steps = "mappo-lagrangian", PPO, 20_000
    whole = MemoryCheckpoint()
    train(name, BINDING, settings, steps, checkpoint=whole)
    half = len(whole.states) // 2
    resumed = MemoryCheckpoint(whole.states[:half])
    train(name, BINDING, settings, steps, checkpoint=resumed)
    assert 0 < half < len(whole.states) == len(resumed.states)
    for name_ in ("kept", "generator"):
        assert differences(whole.states[-1][name_], resumed.states[-1][name_]) == []
    controller = whole.states[-1]["kept"]["controller"]
    assert controller["last"]["held.lam"] != whole.states[0]["kept"]["controller"]["last"]["held.lam"]
    assert len(controller["mixture"]) == 8
