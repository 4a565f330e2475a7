"""What holds of the family whether CityLearn is installed or not; `tests/citylearn` holds what needs it."""

from importlib.metadata import PackageNotFoundError

import pytest

from accord.envs.catalogue import family_of, resolve
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.errors import UsageError
from accord.envs.scenario import Bound
from accord.envs.third_party import citylearn
from accord.envs.third_party.citylearn import CITYLEARN, CityLearnScenario

MODEL = "campus_seven/two_groups/hourly-0.35"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(citylearn, "version", missing)


@pytest.mark.usefixtures("absent")
def test_without_the_package_one_line_says_what_to_install() -> None:
    scenario = resolve(f"citylearn/{MODEL}")
    with pytest.raises(UsageError) as told:
        scenario.task()
    said = f"scenario 'citylearn/{MODEL}' needs the package citylearn: pip install accord-bench[citylearn]"
    assert str(told.value) == said
    assert all("needs pip install accord-bench[citylearn]" in meaning for _, meaning in CITYLEARN.words())


@pytest.mark.parametrize("word", ["citylearn", "citylearn_curtailed", "citylearn_flat"])
def test_a_scenario_is_that_of_the_model_but_for_the_simulator(word: str) -> None:
    scenario, model = resolve(f"{word}/{MODEL}"), resolve(MODEL)
    assert isinstance(scenario, CityLearnScenario)
    assert family_of(scenario.address) is CITYLEARN
    assert (scenario.protocol, scenario.scales, scenario.n_agents) == (model.protocol, model.scales, 7)
    assert scenario.network_digest == model.network_digest
    assert [(b.name, b.limit) for b in scenario.budgets()] == [(b.name, b.limit) for b in model.budgets()]
    assert scenario.trained_on.address == MODEL


def test_kinds_have_different_digests_and_what_they_are_compared_with_does_too() -> None:
    kinds = [resolve(f"{word}{MODEL}") for word in ("", "citylearn/", "citylearn_curtailed/", "citylearn_flat/")]
    assert len({scenario.digest for scenario in kinds}) == 4
    assert len({str(scenario.comparison_key) for scenario in kinds}) == 4


def test_a_change_midway_is_trained_and_warmed_up_on_what_held_before() -> None:
    scenario = resolve(f"citylearn/{MODEL}~0.3")
    assert scenario.trained_on.address == MODEL
    assert scenario.protocol.measured == resolve(f"{MODEL}~0.3").protocol.measured


def test_the_yardstick_is_the_models_optimum_and_no_proof_that_nothing_is_feasible() -> None:
    model = resolve("paper_seven/ring/average-0.27").optimum()
    found = resolve("citylearn/paper_seven/ring/average-0.27").optimum()
    assert isinstance(model, Bound)
    assert isinstance(found, Bound)
    assert found.objective == model.objective
    assert resolve("citylearn/paper_seven/ring/average-0.1").optimum() is None
    assert isinstance(resolve("citylearn/paper_seven/ring/average-0.1").model, DistrictScenario)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("citylearn_round/campus_seven/ring/hourly-0.35", "allowed: citylearn, citylearn_curtailed, citylearn_flat"),
        ("citylearn/ring/hourly-0.35", "must be district/network/budget"),
        ("citylearn/nowhere/ring/hourly-0.35", "unknown district 'nowhere'"),
    ],
)
def test_errors_name_the_word_and_what_is_allowed(address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(address)
