import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import accord.envs
from accord.envs import catalogue
from accord.envs.catalogue import families, is_episodic, resolve, resolve_district
from accord.envs.demand_response.scenario import smallest_level
from accord.envs.districts.named import make_district
from accord.envs.errors import UsageError
from accord.envs.scenario import EpisodicScenario, Family
from accord.envs.toy.games import GAMES


def test_an_address_has_one_meaning() -> None:
    scenario = resolve("campus_seven/two_groups/hourly-0.35")
    assert (scenario.district_name, scenario.network_name, scenario.budget_name) == (
        "campus_seven",
        "two_groups",
        "hourly-0.35",
    )
    assert scenario.level == 0.35
    assert scenario.district.measured == (744, 2904)
    assert resolve("campus_seven/two_groups/hourly-0.35") is scenario


def test_make_gives_a_task_with_the_budgets_of_the_address() -> None:
    task = accord.envs.make("campus_seven/two_groups/hourly-0.35")
    assert task.spec.n_agents == 7
    assert len(task.spec.budgets) == 24
    limit = 0.35 * task.district.demand_peak
    torch.testing.assert_close(task.spec.limits, torch.full((24,), limit))


def test_feeder_budgets_are_fractions_of_their_own_peaks() -> None:
    scenario = resolve("paper_seven/ring/feeder-0.3")
    substation, first, second = scenario.budgets()
    assert substation.limit == pytest.approx(0.3 * scenario.district.demand_peak)
    assert first.limit + second.limit == pytest.approx(substation.limit)  # the buildings peak together
    assert first.agents is not None
    assert first.agents.tolist() == [True] * 4 + [False] * 3


def test_networks_are_fresh_and_as_large_as_the_district() -> None:
    scenario = resolve("paper_seven/two_groups/average-0.27")
    assert scenario.network().n_agents == 7
    assert scenario.network() is not scenario.network()


@pytest.mark.parametrize("kind", ["average", "hourly", "cap", "feeder"])
def test_relative_levels_multiply_the_smallest_feasible_one(kind: str) -> None:
    least = smallest_level("homes_17", kind)
    assert resolve(f"homes_17/ring/{kind}-x1.05").level == pytest.approx(1.05 * least)


def test_relative_levels_refer_to_the_measured_hours() -> None:
    assert smallest_level("homes_17", "average") == pytest.approx(0.1947, abs=1e-4)
    assert smallest_level("paper_seven", "average") == pytest.approx(0.2063, abs=1e-4)


def test_smallest_level_of_ten_thousand_buildings() -> None:
    assert 0.3 < smallest_level("synthetic_10000", "average") < 0.8


def test_paths_in_an_address_may_hold_slashes(tmp_path: Path) -> None:
    edges = tmp_path / "line.txt"
    edges.write_text("\n".join(f"{i} {i + 1}" for i in range(6)))
    scenario = resolve(f"paper_seven/edges:{edges}/average-0.27")
    assert scenario.network_name == f"edges:{edges}"
    with pytest.raises(UsageError, match="no_such_folder"):
        resolve(f"folder:{tmp_path}/no_such_folder/ring/average-0.27")


def test_other_kinds_of_scenarios_have_their_own_first_word() -> None:
    scenario = resolve("games/climbing")
    assert isinstance(scenario, EpisodicScenario)
    assert (scenario.n_agents, scenario.budgets(), scenario.network().n_agents) == (2, (), 2)
    assert scenario.digest == resolve("games/climbing").digest != resolve("games/qtran").digest
    assert [is_episodic(address) for address in ("games/climbing", "paper_seven/ring/average-0.3")] == [True, False]
    with pytest.raises(UsageError, match="address 'games/climbing': this needs a district"):
        resolve_district("games/climbing")


def test_validation_hours_are_the_last_four_weeks_of_training_after_a_month_of_warm_up() -> None:
    scenario = resolve_district("homes_17/ring/average-0.2")
    district = scenario.district
    month, weeks, (_, end) = 31 * 24, 28 * 24, district.training
    assert district.validation == (end - weeks - month, end - weeks, end)
    assert end <= district.measured[0]  # out of sample
    assert (scenario.validation.district.warmup, scenario.validation.district.measured) == (
        end - weeks - month,
        (end - weeks, end),
    )
    assert scenario.validation.level == scenario.level
    assert scenario.validation.digest != scenario.digest
    short = dataclasses.replace(make_district("paper_seven"), training=(48, 48 + month + weeks - 1))
    assert short.validation == (48, 48, 48 + month + weeks - 1)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("paper_seven", "must be district/network/budget"),
        ("paper_seven/ring", "must be district/network/budget"),
        ("paper_seven//average-0.27", "must be district/network/budget"),
        ("paper_seven/ring/average-0.27/more", "must be district/network/budget"),
        ("nowhere/ring/average-0.27", "unknown district 'nowhere'.*allowed: paper_seven"),
        ("paper_seven/spiral/average-0.27", "spiral"),
        ("homes_17/two_groups/average-0.27", "two_groups"),
        ("paper_seven/ring/daily-0.27", "unknown kind 'daily'"),
        ("paper_seven/ring/average-much", "'much' is not a number"),
        ("paper_seven/ring/window-17_21-x1.05", "none is the smallest"),
        ("paper_seven/ring/hourly-0.3~0.3", "budget 'hourly-0.3~0.3': nothing changes"),
        ("synthetic_10000001/ring/average-0.3", r"unknown district .*\(N from 1 to 10000000\)"),
        (
            "synthetic_9999/complete/average-0.3",
            "'complete' with 9999 agents has about 49985001 links; allowed: 10000000",
        ),
        ("synthetic_9999/small_world-9998-0.1/average-0.3", "has about 49985001 links"),
        ("synthetic_9999/erdos_renyi-0.9/average-0.3", "has about 44986501 links"),
        ("synthetic_9999/regular-9998/average-0.3", "has about 49985001 links"),
        ("allocation_1001x1/radius-1/steady", "N from 2 to 1000 agents"),
        ("allocation_4x101/radius-1/steady", "W up to 100 resources"),
        (f"folder:/{'a' * 5000}/ring/average-0.3", "no such folder"),
        ("folder://ring/average-0.3", "/schema.json: no such file"),
    ],
)
def test_errors_name_the_word_and_what_is_allowed(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(address)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Family], None]]:
    """`register_family`, undone when the test ends."""
    monkeypatch.setattr(catalogue, "_REGISTERED", {})
    yield catalogue.register_family
    monkeypatch.undo()
    families.cache_clear()


def test_a_script_adds_a_family_and_a_second_call_replaces_it(register: Callable[[str, Family], None]) -> None:
    register("chess", GAMES)
    assert catalogue.family_of("chess/two_step") is GAMES
    again = dataclasses.replace(GAMES)
    register("chess", again)
    assert catalogue.family_of("chess_2/two_step") is again


@pytest.mark.parametrize("word", ["games", "homes_17", "homes"])
def test_a_word_that_is_taken_is_refused(register: Callable[[str, Family], None], word: str) -> None:
    with pytest.raises(ValueError, match=f"the word .{word}. of a family is taken"):
        register(word, GAMES)


def test_what_is_no_text_is_no_address() -> None:
    with pytest.raises(UsageError, match="address 5: allowed: a text like campus_seven"):
        accord.envs.make(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["here", 99, None, "meta"])
def test_what_is_no_device_is_refused(device: object) -> None:
    with pytest.raises(UsageError, match=f"^device {device!r}: is not here; allowed on this machine: cpu"):
        accord.envs.make("games/two_step", device)  # type: ignore[arg-type]
