"""The digest of code: what it follows, and what is no change."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Digest = Callable[[], str]


@pytest.fixture
def digest(tmp_path: Path) -> Digest:
    """Of the module `mine`, which imports `helper`, in a fresh process."""
    (tmp_path / "mine.py").write_text('"""Mine."""\nimport os\nimport torch\nfrom helper import half\nSHARE = 1\n')
    (tmp_path / "helper.py").write_text("def half(x):\n    return x / 2\n")
    ask = "import mine; from accord.benchmark.records.code import digest_of_code as d; print(d(['mine']))"

    def asked() -> str:
        command = [sys.executable, "-c", ask]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    return asked


def test_what_a_module_imports_of_the_users_own_counts(digest: Digest, tmp_path: Path) -> None:
    before = digest()
    assert digest() == before
    (tmp_path / "helper.py").write_text('def half(x):\n    """Half."""\n    return x / 2  # of it\n')
    assert digest() == before
    (tmp_path / "helper.py").write_text("def half(x):\n    return x / 3\n")
    assert digest() != before


SESSION = """
    import sys, types
    from accord.benchmark.records.code import digest_of_code

    def cell(text):
        exec(text, vars(sys.modules["__main__"]))
        return digest_of_code(["__main__"])

    first = cell("FACTOR = .5\\nclass Mine:\\n    def act(self):\\n        return FACTOR")
    assert cell("seen = 3") == first  # nobody's code names it
    assert cell("class Mine:\\n    def act(self):\\n        'As asked.'\\n        return FACTOR") == first
    assert cell("FACTOR = .9") != first
    assert cell("FACTOR = .5") == first
    assert cell("class Mine:\\n    def act(self):\\n        return 2 * FACTOR") != first
    assert cell("class Mine:\\n    def act(self):\\n        return FACTOR\\n    share = 2") != first
"""


def test_without_a_file_what_is_loaded_counts(tmp_path: Path) -> None:
    # As in a notebook: the session's module has no file.
    command = [sys.executable, "-c", textwrap.dedent(SESSION)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


YOUNG = """
    import importlib, os, pathlib, sys, time
    from accord.benchmark.records.code import digest_of_code
    sys.path.insert(0, ".")
    file = pathlib.Path("mine.py")
    file.write_text("def act():\\n    return .5\\n")
    import mine
    first = digest_of_code(["mine"])
    file.write_text("def act():\\n    return .9  # changed\\n")
    assert digest_of_code(["mine"]) == first  # the process still runs what it loaded
    importlib.reload(mine)
    assert mine.act() == .9
    assert digest_of_code(["mine"]) != first
"""


def test_a_file_that_is_younger_than_the_process_counts_by_what_is_loaded(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(YOUNG)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
