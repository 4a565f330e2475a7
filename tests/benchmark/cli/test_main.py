"""Starting the command line: versions, help, completion, none of it slow; and packages that are no command."""

import re
import runpy

import pytest
from helpers.command_line import call_anew


def test_version_is_one_line() -> None:
    said, _, loaded = call_anew("--version")
    assert re.fullmatch(r"accord \d+\.\d+\.\d+, torch \d+\.\d+\S*, Python 3\.\d+\.\d+\n", said)
    assert not loaded


@pytest.mark.parametrize(
    ("words", "shown"), [(["--help"], "Run a suite"), (["run", "--help"], "--dry-run"), (["suites"], "| core")]
)
def test_help_and_suites_load_nothing_heavy(words: list[str], shown: str) -> None:
    said, _, loaded = call_anew(*words)
    assert shown in said
    assert not loaded


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("accord run qu", ["quick"]),
        ("accord report hou", ["hourly"]),
        ("accord settings consensus-g", ["consensus-gossip"]),
        ("accord run core --methods serve_now,rule", ["serve_now,rule_based"]),
    ],
)
def test_a_shell_completes_names_and_loads_nothing_heavy(typed: str, completed: list[str]) -> None:
    where = str(len(typed.split()) - 1)
    said, _, loaded = call_anew(_ACCORD_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=where)
    assert said.split() == completed
    assert not loaded


@pytest.mark.parametrize("package", ["accord.benchmark", "accord.benchmark.cli"])
def test_a_package_that_is_no_command_says_so(package: str) -> None:
    with pytest.raises(ImportError, match=f"{package}.* cannot be directly executed"):
        runpy.run_module(package, run_name="__main__")
