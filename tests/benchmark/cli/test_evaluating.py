"""A policy of one's own beside the methods, in the same store and the same tables."""

from collections.abc import Callable
from pathlib import Path

import pytest

from accord.benchmark.records.store import Store

Accord = Callable[..., tuple[int, str, str]]
SCENARIO = "synthetic_7-week/ring/average-0.4"
POLICIES = """
import numpy as np

def everything(observations):
    return np.ones((len(observations), 2))

def gathered(observations):
    return np.full((len(observations), 2), 1 / (1 + observations.mean() ** 2))
"""


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("policies") / "evaluated_policies.py"
    path.write_text(POLICIES)
    return path


def test_a_policy_is_measured_like_a_method_and_stands_in_its_suite(accord: Accord, done: Path, policies: Path) -> None:
    root = ["--root", str(policies.parent / "runs"), "--wandb", "disabled"]
    status, said, told = accord("evaluate", f"{policies}:everything", "--scenario", SCENARIO, "--name", "all", *root)
    assert status == 0, told
    assert "1 of 1 runs done, 1 carried out now" in told
    (row,) = [line for line in said.splitlines() if line.startswith("| ") and "outside" in line and "all" in line][:1]
    assert "violates" in row or "feasible" in row
    assert "observations (audit: own numbers)" in said
    # Who asks for everything is `serve_now`, which the suite of this folder ran.
    (record,) = Store(policies.parent / "runs").records("evaluated")
    (serve_now,) = [r for r in Store(done / "runs").records("tiny") if r.spec.method == "serve_now"]
    for name in ("objective", "violation", "verdict", "optimality_gap"):
        assert record.metrics[name] == serve_now.metrics[name], name
    assert accord("evaluate", f"{policies}:everything", "--scenario", SCENARIO, "--name", "all", *root)[2].count(
        "1 of 1 runs done, 0 carried out now"
    )
    status, said, _ = accord("report", "evaluated", *root[:2])
    assert status == 0
    assert "outside" in said
    for words, why in (
        (["publish", "evaluated", *root[:2]], "suite 'evaluated': what accord evaluate measures is not published"),
        (["run", "evaluated", *root], "method 'outside': names no policy; it runs and is audited by: accord evaluate"),
    ):
        status, said, told = accord(*words)
        assert (status, said) == (2, "")
        assert told.splitlines()[-1].startswith(f"error: {why}")


def test_who_looks_at_others_says_so_or_fails_the_audit(accord: Accord, policies: Path) -> None:
    words = ["evaluate", f"{policies}:gathered", "--scenario", SCENARIO, "--wandb", "disabled"]
    status, said, _ = accord(*words, "--root", str(policies.parent / "one"))
    assert status == 1
    assert "audit: FAILED" in said
    status, said, _ = accord(*words, "--joint", "--root", str(policies.parent / "two"))
    assert status == 0
    assert "audit: central" in said


def test_a_mistake_leaves_no_suite_behind(accord: Accord, policies: Path, tmp_path: Path) -> None:
    words = ["evaluate", f"{policies}:everything", "--scenario", SCENARIO, "--root", str(tmp_path)]
    assert accord(*words, "--wandb", "on")[0] == accord(*words, "--name", "a,b")[0] == 2
    assert not list(tmp_path.rglob("*.yaml"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["FILE:nothing", "--scenario", SCENARIO], "has no 'nothing'"),
        ([":", "--scenario", SCENARIO], "POLICY: ':' names no policy"),
        (["FILE:everything", "--scenario", "paper_seven/ring"], "must be district/network/budget"),
        (["FILE:everything", "--scenario", SCENARIO, "--name", "a,b"], "--name: 'a,b'; allowed: letters"),
        (["FILE:everything", "--scenario", SCENARIO, "--suite", "quikc"], "did you mean 'quick'?"),
    ],
)
def test_a_mistake_is_one_line(accord: Accord, policies: Path, words: list[str], said: str) -> None:
    status, printed, told = accord("evaluate", *(word.replace("FILE", str(policies)) for word in words))
    assert status == 2
    assert said in told
    assert told.startswith("error: ")
    assert not printed
