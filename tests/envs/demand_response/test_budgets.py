"""Names of budgets: what they may say, what they mean, and every refusal."""

import pytest
import torch

from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.budgets import BudgetName, make_budgets, parse_budget
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError

PEAK = 200.0


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("average-0.27", BudgetName("average", 0.27)),
        ("average-x1.05", BudgetName("average", 1.05, relative=True)),
        ("cap-1", BudgetName("cap", 1.0)),
        ("feeder-x2", BudgetName("feeder", 2.0, relative=True)),
        ("window-17_21-0.3", BudgetName("window", 0.3, intervals=((17, 21),))),
        ("window-6_9-22_2-0.3", BudgetName("window", 0.3, intervals=((6, 9), (22, 2)))),
        ("window-0_24-x1.5", BudgetName("window", 1.5, relative=True, intervals=((0, 24),))),
    ],
)
def test_names_are_read_as_kind_level_and_intervals(name: str, meaning: BudgetName) -> None:
    assert parse_budget(name) == meaning


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("daily-0.3", "'daily-0.3': unknown kind 'daily'; allowed: average-C"),
        ("", "unknown kind ''"),
        ("average", "level '' is not a number"),
        ("average-", "level '' is not a number"),
        ("average-much", "level 'much' is not a number"),
        ("average-xx1", "level 'xx1' is not a number"),
        ("average-0", "number above 0"),
        ("average-x0", "number above 0"),
        ("average-inf", "number above 0"),
        ("average-nan", "number above 0"),
        ("average-17_21-0.3", "only window takes intervals"),
        ("hourly--0.3", "only window takes intervals"),
        ("window-0.3", "it needs one"),
        ("window-17-0.3", "interval '17' must read like 17_21"),
        ("window-17_21_23-0.3", "interval '17_21_23' must read like 17_21"),
        ("window-a_b-0.3", "interval 'a_b' must read like 17_21"),
        ("window-17_25-0.3", "interval '17_25' must lie within 0_24"),
        ("window-24_3-0.3", "interval '24_3' must lie within 0_24"),
        ("window-17_17-0.3", "not be empty"),
        ("window-3_0-0.3", "interval '3_0' must lie within 0_24"),
        ("hourly-.35", "'.35' is written 0.35 in an address"),
        ("hourly-0.350", "'0.350' is written 0.35 in an address"),
        ("hourly-x01", "'01' is written 1 in an address"),
        ("hourly-0.35~0.30", "'0.30' is written 0.3 in an address"),
        ("window-06_9-0.3", "'06' is written 6 in an address"),
        ("average-٠.٤", "level '٠.٤' is not a number above 0"),
        (f"average-0.{'1' * 40}", "is not a number above 0"),
    ],
)
def test_errors_name_the_word_and_what_is_allowed(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_budget(name)


def test_average_counts_every_hour() -> None:
    (budget,) = make_budgets(parse_budget("average-0.3"), 0.3, PEAK, [])
    assert budget.hours.all()
    assert (budget.limit, budget.scale, budget.agents, budget.each_step) == (60.0, 60.0, None, False)


@pytest.mark.parametrize(("name", "each_step"), [("hourly-0.3", False), ("cap-0.3", True)])
def test_hourly_and_cap_have_one_budget_per_hour_of_the_day(name: str, each_step: bool) -> None:
    budgets = make_budgets(parse_budget(name), 0.3, PEAK, [])
    assert torch.equal(torch.stack([b.hours for b in budgets]), torch.eye(24, dtype=torch.bool))
    assert {b.limit for b in budgets} == {60.0}
    assert {b.each_step for b in budgets} == {each_step}
    assert len({b.name for b in budgets}) == 24


def test_windows_run_from_the_first_hour_up_to_the_last_and_over_midnight() -> None:
    budgets = make_budgets(parse_budget("window-17_21-22_2-0.3"), 0.3, PEAK, [])
    assert [b.hours.nonzero().flatten().tolist() for b in budgets] == [[17, 18, 19, 20], [0, 1, 22, 23]]


def test_feeders_have_fractions_of_their_own_peaks() -> None:
    members = torch.tensor([True, True, False])
    budgets = make_budgets(parse_budget("feeder-0.3"), 0.3, PEAK, [(members, 150.0), (~members, 70.0)])
    assert [b.name for b in budgets] == ["substation", "feeder_0", "feeder_1"]
    assert [b.limit for b in budgets] == pytest.approx([60.0, 45.0, 21.0])
    assert budgets[0].agents is None
    assert [b.agents.tolist() for b in budgets[1:] if b.agents is not None] == [members.tolist(), [0, 0, 1]]


def test_the_task_knows_members_limits_and_resources_of_its_budgets() -> None:
    members = torch.tensor([True, True, False, False, False, False, True])
    budgets = make_budgets(parse_budget("feeder-0.3"), 0.3, PEAK, [(members, 150.0)])
    spec = DemandResponse(make_district("paper_seven"), budgets).spec
    assert spec.members.tolist() == [[1.0, float(member)] for member in members]
    assert spec.member_counts.tolist() == [7.0, 3.0]
    assert spec.limits.tolist() == pytest.approx([60.0, 45.0])
    assert spec.resource_of.tolist() == [0, 0]
