"""What outside packages add: a broken one costs a line and nothing else."""

import logging
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from accord.envs import catalogue, plugins
from accord.envs.catalogue import families, family_of, resolve
from accord.envs.districts import named
from accord.envs.districts.named import make_district, named_districts
from accord.envs.errors import UsageError
from accord.envs.plugins import import_file, import_files
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
        ("foo", "nowhere_at_all:FOO", "FOO cannot be loaded: ModuleNotFoundError: No module named 'nowhere_at_all'"),
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


def test_a_file_is_a_module_that_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_plug_in.py").write_text("NUMBER = 7\n")
    path = tmp_path / "own_plug_in.py"
    path.write_text("from beside_plug_in import NUMBER\nDOUBLE = 2 * NUMBER\n")
    module = import_file(path, "--import")
    assert module.DOUBLE == 14
    assert module.__name__ == "own_plug_in"
    assert import_files([path, path]) == [path, path]
    assert import_file(path, "--import") is module


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere.py", None, "nowhere.py: no such file"),
        ("notes.txt", "", "notes.txt is no Python module; allowed: files like my_method.py"),
        ("my-method.py", "", "my-method.py is no Python module"),
        ("random.py", "", "random.py has the name of another module, 'random'; give it another one"),
        ("torch.py", "", "torch.py has the name of another module, 'torch'"),
    ],
)
def test_a_file_that_cannot_be_a_module_is_named(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=f"--import: .*{said}"):
        import_files([tmp_path / name])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("def f(:\n", "SyntaxError"),
        ("\n\nimport nowhere_at_all\n", r"ModuleNotFoundError: No module named 'nowhere_at_all' \(line 3\)"),
        ("raise SystemExit(3)\n", r"SystemExit: 3 \(line 1\)"),
    ],
)
def test_a_broken_file_is_passed_over_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, said: str
) -> None:
    path = tmp_path / "broken_own.py"
    path.write_text(content)
    with caplog.at_level(logging.WARNING, logger="accord"):
        assert import_files([path]) == []
    (told,) = [record.getMessage() for record in caplog.records]
    assert re.match(f"--import: .*broken_own.py is passed over: {said}", told)
    assert "\n" not in told
    assert "broken_own" not in sys.modules
    assert str(tmp_path) not in sys.path


def test_a_file_registers_a_family(add: Add) -> None:
    add("accord.tasks")
    catalogue.register_family("chess", GAMES)
    catalogue.register_family("chess", GAMES)
    try:
        assert family_of("chess_2/two_step") is GAMES
    finally:
        del catalogue._REGISTERED["chess"]
    with pytest.raises(ValueError, match="the word 'games' of a family is taken"):
        catalogue.register_family("games", GAMES)
