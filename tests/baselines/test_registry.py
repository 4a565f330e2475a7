"""Names, and what is said to who mistypes one."""

import pytest

from accord.baselines import METHODS, REFERENCES, make_method
from accord.baselines.base import Method
from accord.baselines.registry import TUNED, register
from accord.envs.errors import UsageError

EXPECTED = {
    "consensus-gossip",
    "consensus-primal_dual",
    "consensus-primal_dual_symmetric",
    "consensus-independent",
    "consensus-broadcast",
    "serve_now",
    "random",
    "rule_based",
    "lookahead",
    "mpc",
}


def test_every_method_of_the_suites_is_registered() -> None:
    assert set(METHODS) >= EXPECTED
    assert set(REFERENCES) >= {"oracle"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_says_what_it_sees_and_documents_itself(name: str) -> None:
    entry = METHODS[name]
    assert entry.sees
    assert entry.method.__doc__
    assert isinstance(make_method(name), Method)


def test_a_mistyped_name_is_told_its_neighbour_and_what_is_allowed() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'consensus-gossip'.*allowed: allocation_expert, "):
        make_method("consensus-gosip")


def test_one_name_cannot_mean_two_methods() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register("serve_now", "nothing")(METHODS["random"].method)
    assert METHODS["serve_now"].method.__name__ == "ServeNow"


@pytest.mark.parametrize("name", sorted(TUNED))
def test_settings_of_a_name_are_settings_of_its_method(name: str) -> None:
    config = make_method(name).config.model_dump()
    for setting, value in TUNED[name].items():
        place = config
        for part in setting.split("."):
            place = place[part]
        assert place == value


def test_a_users_setting_comes_on_top_of_those_of_the_name() -> None:
    config = make_method("consensus-gossip", {"dual": {"alpha": 0.1}}).config.model_dump()
    assert config["dual"]["alpha"] == 0.1
    assert config["dual"]["unit"] == TUNED["consensus-gossip"]["dual.unit"] == "share"
