"""What agents see of demand response, and the state made of it."""

import pytest
import torch

from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.observations import CHANGING, COMMON
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.named import make_district


def task_of(name: str, budget: str = "hourly-0.35") -> DemandResponse:
    district = make_district(name)
    parsed = parse_budget(budget)
    return DemandResponse(district, budgets_of(district, parsed, parsed.level))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_fields_are_named_scaled_and_seen() -> None:
    task = task_of("campus_seven")
    step = task.reset(1, seeded(0), start=12)
    assert step.obs.shape == (1, 7, task.spec.obs_dim)
    district, fields = task.district, task.spec.obs_fields
    tariff = step.obs[0, 0, fields["tariff"].where]
    torch.testing.assert_close(tariff.double() * district.mean_price, district.price[12:36])
    demand = step.obs[0, :, fields["demand"].where].flatten().double() * district.own_peak
    torch.testing.assert_close(demand, district.demand(12, 1).flatten())
    assert step.obs[0, :, fields["demand_scale"].where].flatten().tolist() == pytest.approx([0, 0, 1, 0, 0, 1, 0])
    hidden = DemandResponse(district, (), tariff_ahead=False)
    assert "tariff" not in hidden.spec.obs_fields
    assert hidden.reset(1, seeded(0)).obs.shape[-1] == task.spec.obs_dim - 24
    assert hidden.state().shape == (1, hidden.spec.state_dim)


@pytest.mark.parametrize("name", ["campus_seven", "homes_17", "synthetic_20"])
def test_the_state_is_what_changes_in_what_the_agents_see(name: str) -> None:
    task, generator = task_of(name), seeded(3)
    task.reset(2, generator, initial="random")
    step = task.step(torch.rand(2, task.spec.n_agents, 2, generator=generator))
    district, fields = task.district, task.spec.obs_fields
    own = [step.obs[..., fields[field].where].squeeze(-1) for field in CHANGING]
    common = [step.obs[:, 0, fields[field].where] for field in (*COMMON, "tariff")]
    week = torch.eye(7)[district.weekday[task._hour.column]]  # the district's own: a shifted building sees another
    expected = torch.cat([*own, *common[:-1], week, common[-1]], 1)
    assert torch.equal(task.state(), expected)
    assert expected.shape == (2, task.spec.state_dim)
    constant = set(fields) - set(CHANGING) - set(COMMON) - {"weekday", "tariff"}
    assert constant == {"demand_scale", "pv", "battery", "connection"}
