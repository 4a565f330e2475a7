"""Three systems against sums by hand, and the printed couplings against the bounds."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.testing import check_task
from accord.envs.toy.coupled_linear import ADDRESS, BOUNDS, COUPLINGS, DISTURBANCE, CoupledLinear

AT = {"position": torch.tensor([[0.2, 2.0, -1.9]]), "velocity": torch.tensor([[0.1, -0.2, 0.0]])}


def begun(batch: int = 1) -> tuple[CoupledLinear, torch.Generator]:
    task, generator = CoupledLinear(), torch.Generator().manual_seed(0)
    task.reset(batch, generator, initial=AT)
    return task, generator


def test_it_is_a_task() -> None:
    check_task(CoupledLinear)


def test_it_moves_as_printed_but_for_the_push_on_the_first() -> None:
    task, _ = begun(4_000)
    u = torch.tensor([0.5, -1.0, 3.0])[None, :, None].expand(4_000, 3, 1)  # the last is clipped to 1
    step = task.step(u)
    position, velocity = step.measures["position"], step.measures["velocity"]
    assert torch.allclose(position[:, 1], torch.tensor(0.91 * 2.0 + 0.33 * -0.2 + 0.0611 * -1.0))
    assert torch.allclose(position[:, 2], torch.tensor(0.88 * -1.9 + 0.0837))
    assert torch.allclose(velocity[0], torch.tensor([1.1 * 0.1 + 0.1, 0.98 * -0.2 - 0.23, 0.21]))
    pushed = 0.9 * 0.2 + 0.35 * 0.1 + 0.0813 * 0.5 - position[:, 0]
    assert 0 <= float(pushed.min()) < float(pushed.max()) <= DISTURBANCE
    assert float(pushed.mean()) == pytest.approx(DISTURBANCE / 2, rel=0.03)


def test_it_costs_what_eq_32_says() -> None:
    task, generator = begun()
    reward = task.step(torch.zeros(1, 3, 1)).reward
    coupling = 10 * (0.2**2 + 0.1**2 + 0.1**2)  # 0.2 − 2 + 2, 0.2 + 1.9 − 2, 2 + 1.9 − 4
    own = 0.1 * (0.2**2 + 2.0**2 + 1.9**2 + 0.1**2 + 0.2**2)
    assert float(-reward.sum()) == pytest.approx(coupling + own, rel=1e-5)
    task.reset(1, generator, initial=AT | {"position": torch.tensor([[-0.1, 2.0, -2.0]])})
    outside = task.step(torch.zeros(1, 3, 1)).reward
    assert float(-outside[0, 0]) == pytest.approx(100 * 0.1 + 0.1 * (0.01 + 0.01) + 10 * (0.1**2 * 2) / 3, rel=1e-4)


def feasible(couplings: tuple[tuple[int, int, float], ...]) -> bool:
    rows = np.zeros((len(couplings), 3))
    for row, (i, j, _) in zip(rows, couplings, strict=True):
        row[i], row[j] = 1, -1
    return bool(linprog(np.zeros(3), A_eq=rows, b_eq=[d for *_, d in couplings], bounds=BOUNDS).status == 0)


def test_the_printed_sign_of_the_first_coupling_is_impossible_within_the_bounds() -> None:
    (i, j, distance), *others = COUPLINGS
    assert feasible(COUPLINGS)
    assert not feasible(((i, j, -distance), *others))
    assert not feasible(((i, j, -distance),))


def test_an_episode_ends_by_its_time_and_starts_within_the_bounds() -> None:
    scenario = resolve(ADDRESS)
    task = scenario.task()
    step = task.reset(500, torch.Generator().manual_seed(0))
    low, high = torch.tensor(BOUNDS).unbind(-1)
    assert bool(((step.measures["position"] >= low) & (step.measures["position"] <= high)).all())
    assert 0.29 < float(step.measures["velocity"].abs().max()) <= 0.3
    for _ in range(task.spec.horizon):
        step = task.step(torch.zeros(500, 3, 1))
    assert bool(step.truncated.all())
    assert not bool(step.terminated.any())
    assert float(task.step(torch.zeros(500, 3, 1)).reward.abs().max()) == 0.0


def test_later_steps_add_up_to_mean_distances_and_to_the_share_outside() -> None:
    task, _ = begun(3)
    distance, share = torch.zeros(3, 3), torch.zeros(3, 3)
    seen = []
    for _ in range(task.spec.horizon):
        step = task.step(torch.zeros(3, 3, 1))
        distance, share = distance + step.measures["settled_distance"], share + step.measures["outside_share"]
        seen.append(step.measures["position"])
    positions = torch.stack(seen)  # [100, 3, 3]
    expected = torch.stack([(positions[50:, :, i] - positions[50:, :, j]).mean(0) for i, j, _ in COUPLINGS], -1)
    assert torch.allclose(distance, expected, rtol=1e-4, atol=1e-4)
    low, high = torch.tensor(BOUNDS).unbind(-1)
    outside = ((positions[20:] < low) | (positions[20:] > high)).float().mean(0)
    assert torch.allclose(share, outside, atol=1e-5)


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UsageError, match="unknown example; allowed: coupled/three"):
        resolve("coupled/four")
    with pytest.raises(
        UsageError,
        match="initial: position is given; allowed for 'coupled_linear': 'zero', 'random' or position and velocity",
    ):
        CoupledLinear().reset(1, torch.Generator(), initial={"position": torch.zeros(1, 3)})
