"""The dynamics of demand response against their equations, and the figures they are known to give."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from accord.envs.demand_response import DemandResponse
from accord.envs.demand_response.budgets import parse_budget
from accord.envs.demand_response.scenario import budgets_of
from accord.envs.districts.district import District
from accord.envs.districts.named import make_district
from accord.envs.task import Step

NAMES = ("campus_seven", "homes_17", "mixed_9", "synthetic_20")
Rollout = tuple[Step, list[Step]]


@lru_cache
def task_of(name: str, budget: str = "hourly-0.35") -> DemandResponse:
    district = make_district(name)
    parsed = parse_budget(budget)
    return DemandResponse(district, budgets_of(district, parsed, parsed.level))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def extreme_actions(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Uniform on [-1, 2], a third of them exactly 0 or 1."""
    actions = 3 * torch.rand(shape, generator=generator) - 1
    corner = torch.randint(6, shape, generator=generator)
    return torch.where(corner < 2, corner.float(), actions)


def random_rollout(name: str, seed: int, batch: int, hours: int) -> Rollout:
    task, generator = task_of(name), seeded(seed)
    first = task.reset(batch, generator, horizon=hours, initial="random")
    shape = (batch, task.spec.n_agents, 2)
    return first, [task.step(extreme_actions(shape, generator)) for _ in range(hours)]


def total(steps: list[Step], measure: str) -> Tensor:
    return torch.stack([step.measures[measure].double() for step in steps]).sum(0)


random_cases = given(
    name=st.sampled_from(NAMES), seed=st.integers(0, 2**32), batch=st.integers(1, 4), hours=st.integers(1, 40)
)
few = settings(max_examples=25, deadline=None, derandomize=True)


@few
@random_cases
def test_energy_is_conserved(name: str, seed: int, batch: int, hours: int) -> None:
    first, steps = random_rollout(name, seed, batch, hours)
    district = make_district(name)
    peak, eta = district.own_peak, district.efficiency
    waiting = [step.measures["waiting_load"].double() for step in (first, steps[-1])]
    came = total(steps, "demand") + waiting[0]
    went = total(steps, "import_kwh") + total(steps, "battery_kwh") + waiting[1]
    assert ((came - went).abs() < 1e-5 * hours * peak).all()
    sun = total(steps, "stored") / eta + total(steps, "curtailed")
    assert ((total(steps, "solar") - sun).abs() < 1e-5 * hours * peak).all()
    held = [step.measures["soc"].double() for step in (first, steps[-1])]
    through = held[0] + total(steps, "stored") - total(steps, "battery_kwh") / eta
    assert ((held[1] - through).abs() < 1e-5 * hours * peak).all()
    shortfall = torch.stack([step.shortfall.double() for step in steps if step.shortfall is not None]).sum(0)
    assert ((shortfall - (waiting[1] - waiting[0])).abs() < 1e-5 * hours * peak).all()


@few
@random_cases
def test_every_quantity_stays_within_its_limits(name: str, seed: int, batch: int, hours: int) -> None:
    district = make_district(name)
    slack = 1e-5 * district.own_peak
    for step in random_rollout(name, seed, batch, hours)[1]:
        measures = {key: value.double() for key, value in step.measures.items()}
        assert (measures["soc"] >= 0).all()
        assert (measures["soc"] <= district.battery_kwh + slack).all()
        assert (measures["import_kwh"] <= district.connection_kwh + slack).all()
        assert (measures["battery_kwh"] <= district.battery_kw + slack).all()
        assert (measures["stored"] <= district.battery_kw + slack).all()
        for name_ in ("import_kwh", "battery_kwh", "waiting_load", "stored", "curtailed"):
            assert (measures[name_] >= -slack).all(), name_
        assert torch.equal(step.usage[..., 0], step.measures["import_kwh"])
        assert step.obs.isfinite().all()


def one_building(district: District, i: int, start: int, q: float, b: float, actions: npt.NDArray[np.float64]) -> dict:
    """The equations, hour by hour for one building, in float64: what the batched path is held against."""
    eta, power, capacity = (float(x[i]) for x in (district.efficiency, district.battery_kw, district.battery_kwh))
    limit, shift = float(district.connection_kwh[i]), int(district.shift[i])
    demand = district.demand_profiles[district.demand_profile[i]].numpy() * float(district.demand_scale[i])
    solar = district.solar_profiles[district.solar_profile[i]].numpy() * float(district.pv_kw[i])
    price = district.price.numpy()
    delay = district.delay_price * price.mean()
    trace: dict[str, list[float]] = {key: [] for key in ("reward", "import_kwh", "waiting_load", "soc", "shortfall")}
    for k, (a_b, a_g) in enumerate(np.clip(actions, 0, 1)):
        d, g = (column[(start + k + shift) % district.hours] for column in (demand, solar))
        load = d + q
        charged = b + min(eta * g, power, capacity - b)
        from_battery = min(a_b * load, eta * charged, power)
        from_grid = min(a_g * (load - from_battery), limit)
        q, b = load - from_battery - from_grid, charged - from_battery / eta
        reward = -price[(start + k) % district.hours] * from_grid - delay * q
        for key, value in zip(trace, (reward, from_grid, q, b, d - from_grid - from_battery), strict=True):
            trace[key].append(value)
    return trace


@pytest.mark.parametrize("name", ["paper_seven", *NAMES])
def test_the_batched_path_follows_the_equations(name: str) -> None:
    task, district, generator = task_of(name), make_district(name), seeded(11)
    hours, start = 300, district.hours - 100  # over the end of the calendar
    first = task.reset(2, generator, start=start, horizon=hours, initial="random")
    actions = extreme_actions((hours, 2, district.n_agents, 2), generator)
    steps = [task.step(action) for action in actions]
    for i in range(0, district.n_agents, 3):
        q, b = (float(first.measures[key][1, i]) for key in ("waiting_load", "soc"))
        expected = one_building(district, i, start, q, b, actions[:, 1, i].double().numpy())
        for key, values in expected.items():
            read = [s.reward if key == "reward" else s.measures.get(key, s.shortfall) for s in steps]
            got = np.array([float(tensor[1, i]) for tensor in read if tensor is not None])
            np.testing.assert_allclose(got, values, rtol=1e-5, atol=2e-5 * float(district.own_peak[i]), err_msg=key)


@pytest.mark.parametrize("budget", ["average-0.3", "hourly-0.35", "window-17_21-22_2-0.3", "feeder-0.3"])
def test_active_and_counted_budgets_follow_the_hour(budget: str) -> None:
    task = task_of("homes_17", budget)
    district, masks = task.district, torch.stack([b.hours for b in task.spec.budgets], -1)
    start = district.hours - 30
    step = task.reset(2, seeded(0), start=start, horizon=48)
    assert not step.counted.any()
    for k in range(48):
        hours = district.hour[(start + k + torch.arange(24)) % district.hours]
        assert torch.equal(step.active.bool(), masks[hours].expand(2, -1, -1))
        assert torch.equal(task.active(5), step.active[:, :5])
        step = task.step(torch.ones(2, 17, 2))
        assert torch.equal(step.counted.bool(), masks[hours[0]].expand(2, -1))


@pytest.mark.parametrize("horizon", [1, 7, None])
def test_an_episode_is_truncated_at_its_horizon_and_never_terminates(horizon: int | None) -> None:
    task = task_of("campus_seven")
    flags = [task.reset(3, seeded(0), horizon=horizon).truncated]
    steps = [task.step(torch.zeros(3, 7, 2)) for _ in range(horizon or task.spec.horizon)]
    flags += [step.truncated for step in steps]
    assert not torch.stack(flags[:-1]).any()
    assert flags[-1].all()
    assert not any(step.terminated.any() for step in steps)


def test_training_starts_in_the_training_hours_and_stays_there() -> None:
    task = task_of("homes_17")
    first, last = task.district.training
    waiting = task.reset(4000, seeded(0), initial="random").measures["waiting_load"]
    assert ((waiting >= 0) & (waiting <= 4.0 * task.district.own_peak)).all()
    assert int(task._hour.column.min()) >= first
    assert last - 400 < int(task._hour.column.max()) <= last - task.spec.horizon
    assert len(task._hour.column.unique()) > 2000


def test_the_same_seed_gives_the_same_trajectory() -> None:
    one, two, other = (random_rollout("synthetic_20", seed, 2, 20)[1] for seed in (3, 3, 4))
    assert all(torch.equal(a.obs, b.obs) and torch.equal(a.reward, b.reward) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[-1].obs, other[-1].obs)


def test_the_initial_state_may_be_given() -> None:
    state = {"waiting_load": torch.arange(7.0), "soc": torch.full((2, 7), 70.0)}
    step = task_of("campus_seven").reset(2, seeded(0), start=0, initial=state)
    assert step.measures["waiting_load"].tolist() == [list(range(7))] * 2
    assert (step.measures["soc"] == 70).all()


@pytest.mark.parametrize("name", NAMES)
def test_taken_agents_do_what_they_do_in_the_district(name: str) -> None:
    task, generator = task_of(name, "average-0.3"), seeded(5)
    chosen = torch.tensor([4, 0, 4])
    part = task.take(chosen)
    first = task.reset(2, generator, start=100, horizon=60, initial="random")
    state = {key: first.measures[key][:, chosen] for key in ("waiting_load", "soc")}
    part.reset(2, generator, start=100, horizon=60, initial=state)
    for _ in range(60):
        actions = extreme_actions((2, task.spec.n_agents, 2), generator)
        whole, taken = task.step(actions), part.step(actions[:, chosen])
        for key in ("obs", "reward", "usage", "shortfall"):
            assert torch.equal(getattr(whole, key)[:, chosen], getattr(taken, key)), key
        assert torch.equal(whole.counted, taken.counted)


def test_sampled_agents_keep_their_share_of_the_budgets_and_the_units() -> None:
    task = task_of("homes_17")
    sampled = task.sample_agents(34, seeded(1))
    assert sampled.spec.n_agents == 34
    torch.testing.assert_close(sampled.spec.limits, 2 * task.spec.limits)
    assert sampled.spec.usage_scale == task.spec.usage_scale
    assert sampled.spec.price_scale == task.spec.price_scale
    assert set(sampled.spec.agent_types.tolist()) <= set(task.spec.agent_types.tolist())


Policy = Callable[[tuple[int, ...], torch.Generator], Tensor]


def serve_now(shape: tuple[int, ...], _: torch.Generator) -> Tensor:
    return torch.ones(shape)


def random(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def imports(name: str, policy: Policy, hours: tuple[int, int], batch: int = 1) -> tuple[float, float]:
    """Mean import and mean import in the worst hour of the day, in uncontrolled peaks."""
    district, generator = make_district(name), seeded(2026)
    task = DemandResponse(district, ())
    task.reset(batch, generator, start=hours[0], horizon=hours[1] - hours[0])
    shape = (batch, district.n_agents, 2)
    used = [task.step(policy(shape, generator)).usage.sum((1, 2)) for _ in range(*hours)]
    share = torch.stack(used).double() / district.demand_peak  # [T, B]
    by_hour = share.view(-1, 24, batch).mean(0)  # every district starts at midnight
    return float(share.mean()), float(by_hour.amax(0).mean())


def test_doing_nothing_on_the_seven_imports_what_it_is_known_to() -> None:
    assert imports("paper_seven", serve_now, (0, 2928))[0] == pytest.approx(0.2225, abs=5e-5)
    assert imports("paper_seven", serve_now, (744, 2904))[1] == pytest.approx(0.566, abs=5e-4)


def test_random_actions_on_the_seven_import_what_they_are_known_to() -> None:
    assert imports("paper_seven", random, (0, 2928), batch=16)[0] == pytest.approx(0.2455, abs=0.01)
    assert imports("paper_seven", random, (744, 2904), batch=16)[1] == pytest.approx(0.43, abs=0.01)


def test_homes_import_what_they_are_known_to() -> None:
    year = (0, 8760)
    assert imports("homes_17", serve_now, year)[0] == pytest.approx(0.209, abs=5e-4)
    average, worst = imports("homes_17", random, year, batch=2)
    assert average == pytest.approx(0.225, abs=5e-4)
    assert worst == pytest.approx(0.276, abs=0.005)


def test_serving_at_once_leaves_nothing_waiting() -> None:
    task = task_of("mixed_9")
    task.reset(1, seeded(0), start=0, horizon=200)
    assert all((task.step(torch.ones(1, 9, 2)).measures["waiting_load"] == 0).all() for _ in range(200))
