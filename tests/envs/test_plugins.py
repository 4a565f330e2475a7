"""What outside packages add: a broken one costs a line and nothing else."""

import logging
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from accord.envs import catalogue, plugins
from accord.envs.catalogue import families, family_of, resolve
from accord.envs.districts import named
from accord.envs.districts.named import make_district, named_districts
from accord.envs.errors import UsageError
from accord.envs.toy.games import GAMES

Add = Callable[..., None]


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Install entry points of one group, `name=value`, until the test ends."""

    def forget() -> None:
        for kept in (families, named._outside, catalogue._resolved, named._made):
            kept.cache_clear()

    def install(group: str, **points: str) -> None:
        found = [EntryPoint(name, value, group) for name, value in points.items()]
        monkeypatch.setattr(plugins, "entry_points", lambda group: [p for p in found if p.group == group])
        forget()

    yield install
    monkeypatch.undo()
    forget()


def five_homes() -> object:
    """Five homes."""
    return make_district("homes_17")


def no_district() -> object:
    """Nothing of use."""
    return 5


def test_a_family_is_known_by_its_word(add: Add) -> None:
    add("accord.tasks", chess="accord.envs.toy.games:GAMES")
    assert family_of("chess/two_step") is GAMES
    assert family_of("chess_2/two_step") is GAMES
    assert resolve("games/two_step").address == "games/two_step"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("foo", "nowhere_at_all:FOO", "nowhere_at_all:FOO cannot be loaded: No module named 'nowhere_at_all'"),
        ("foo", "accord.envs.toy.games:NOTHING", "cannot be loaded"),
        ("foo", "accord.envs.toy.games:climbing", "it is a function; allowed: a Family"),
        ("homes", "accord.envs.toy.games:GAMES", "its word is taken"),
        ("synthetic", "accord.envs.toy.games:GAMES", "its word is taken"),
        ("games", "accord.envs.toy.games:GAMES", "its word is taken"),
    ],
)
def test_a_family_that_is_none_is_passed_over(
    add: Add, caplog: pytest.LogCaptureFixture, name: str, value: str, said: str
) -> None:
    add("accord.tasks", **{name: value})
    with caplog.at_level(logging.WARNING, logger="accord"):
        assert resolve("paper_seven/ring/average-0.3").n_agents == 7
    assert [record.getMessage() for record in caplog.records if said in record.getMessage()]
    assert families() == catalogue.BUILT_IN


def test_a_district_is_known_by_its_name(add: Add) -> None:
    add("accord.districts", five=f"{__name__}:five_homes")
    assert ("five", "Five homes.") in named_districts()
    assert resolve("five/ring/average-0.3").n_agents == 17


def test_a_district_that_is_none_is_named_when_it_is_asked_for(add: Add, caplog: pytest.LogCaptureFixture) -> None:
    add("accord.districts", none=f"{__name__}:no_district", homes_17=f"{__name__}:no_district", gone="nowhere:x")
    assert make_district("homes_17").n_agents == 17
    with pytest.raises(UsageError, match=r"district 'none': its entry point in accord\.districts returned a int"):
        make_district("none")
    with pytest.raises(UsageError, match="unknown district 'gone'"):
        make_district("gone")
    told = [record.getMessage() for record in caplog.records]
    assert any("'homes_17'" in line and "its name is taken" in line for line in told)
    assert any("'gone'" in line and "cannot be loaded" in line for line in told)
