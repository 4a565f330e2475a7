"""Settings as people read them."""

import pytest

from accord.baselines import METHODS
from accord.benchmark.specs.settings import Setting, settings_of


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_setting_says_what_it_does_in_a_sentence(method: str) -> None:
    for setting in settings_of(method):
        assert setting.meaning.endswith("."), setting.name
        assert setting.allowed, setting.name


def test_a_setting_has_default_unit_and_range() -> None:
    found = {setting.name: setting for setting in settings_of("lookahead")}
    assert found["horizon"] == Setting("horizon", "48", "h", "whole number ≥ 24, ≤ 744", "Hours planned.")
    assert (found["carry"].unit, found["carry"].allowed) == ("h", "number ≥ 0")
    assert (found["memory"].unit, found["memory"].allowed) == ("", "number ≥ 0, < 1")


def test_defaults_are_those_of_the_name() -> None:
    found = {setting.name: setting for setting in settings_of("mappo-lagrangian")}
    assert found["constraints.lr"].default == "0.279"
    assert found["critic"].allowed == found["handling"].allowed == "fixed by the name"
    assert found["ppo.hidden"] == Setting(
        "ppo.hidden", "[128,128]", "neurons", "list of whole numbers > 0, at least 1", found["ppo.hidden"].meaning
    )
    assert found["iterate"].allowed == "mixture, last"
    assert found["shaping"].allowed == "true, false"


def test_a_bound_has_none() -> None:
    assert settings_of("oracle") == []
