"""The digest of code: what it follows, what is no change, and when nobody can vouch for it."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.processes import in_a_process

MINE = '"""Mine."""\nimport os\nimport torch\nfrom helper import half\nSHARE = 1\n'


def test_what_a_module_imports_of_the_users_own_counts(tmp_path: Path) -> None:
    def asked(helper: str) -> str:
        return in_a_process(tmp_path, "import mine; print(digest(['mine']))", mine=MINE, helper=helper)

    before = asked("def half(x):\n    return x / 2\n")
    assert asked('def half(x):\n    """Half."""\n    return x / 2  # of it\n') == before
    assert asked("def half(x):\n    return x / 3\n") != before


def test_a_notebook_has_no_file_and_is_vouched_for_by_nobody(tmp_path: Path) -> None:
    in_a_process(tmp_path, "assert unknown(digest(['__main__'])) and digest(['__main__']) != digest(['__main__'])")


def test_a_script_is_the_same_code_by_its_own_name(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "import sys\nfrom accord.benchmark.records.code import digest_of_code\nprint(digest_of_code([__name__]))\n"
    )
    said = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert in_a_process(tmp_path, "import mine") == said


def test_what_is_installed_counts_by_its_version(tmp_path: Path) -> None:
    script = """
        first = digest(["mine"])
        code._KNOWN.clear()
        code.version = lambda name: "another" if name == "torch" else "1"
        assert digest(["mine"]) != first
    """
    in_a_process(tmp_path, script, mine=MINE, helper="def half(x):\n    return x\n")


def test_a_broken_optional_import_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text("raise RuntimeError('no display')\n")
    in_a_process(tmp_path, "assert not unknown(digest(['mine']))", mine="def plot():\n    import broken.sub\n")


@pytest.mark.parametrize("name", ["numpy.linalg", "networkx.drawing"])
def test_installed_packages_are_not_read(tmp_path: Path, name: str) -> None:
    script = """
        before = set(sys.modules)
        digest(["mine"])
        assert not [path for _, files in code._KNOWN.values() for path, _ in files.values() if "-packages" in path]
    """
    in_a_process(tmp_path, script, mine=f"import {name}\n")


def test_workers_take_digests_over_until_a_file_changes(tmp_path: Path) -> None:
    script = """
        first = digest(["mine"])
        known = code.known_digests().replace(first, "from the other")
        code._KNOWN.clear()
        code.take_digests(known)
        assert digest(["mine"]) == "from the other"
        write("mine.py", "from helper import half\\nSHARE = 2\\n")
        assert digest(["mine"]) not in ("from the other", first)
    """
    in_a_process(tmp_path, script, mine=MINE, helper="def half(x):\n    return x / 2\n")
