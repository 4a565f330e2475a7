"""What a suite says that its runs ask of a machine: read, refused, and no part of what a run is."""

from pathlib import Path
from typing import Any

import pytest

from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.resources import Resources
from accord.benchmark.specs.run import RunSpec
from accord.benchmark.specs.suite import load_suite
from accord.envs.errors import UsageError

SUITE = """
description: Two entries.
seeds: 1
effort: {{steps: 10}}
{of_all}
entries:
  - {{scenarios: [games/climbing], methods: [ippo], {of_one}}}
  - {{scenarios: [games/qtran], methods: [ippo]}}
"""


def specs(folder: Path, of_all: str = "", of_one: str = "") -> list[RunSpec]:
    (folder / "own.yaml").write_text(SUITE.format(of_all=of_all, of_one=of_one))
    return runs_of(load_suite(str(folder / "own.yaml")))


def test_an_entry_says_what_of_the_suites_is_otherwise(tmp_path: Path) -> None:
    asked = specs(tmp_path, "resources: {cpus: 2, memory: 2GB}", "resources: {memory: 512MiB, gpus: 0.5}")
    assert [spec.resources for spec in asked] == [
        Resources(cpus=2, gpus=0.5, memory=512 * 2**20),
        Resources(cpus=2, memory=2_000_000_000),
    ]


def test_they_are_no_part_of_a_run(tmp_path: Path) -> None:
    plain, asked = specs(tmp_path), specs(tmp_path, "resources: {cpus: 2, memory: 2GB}")
    assert [spec.digest for spec in asked] == [spec.digest for spec in plain]
    assert RunSpec(**asked[0].model_dump()) == plain[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{cpus: 0}", "key 'resources.cpus': input should be greater than or equal to 1, got 0"),
        ("{gpus: 1.5}", "key 'resources.gpus': value error, must be a whole number, or a part of one GPU"),
        ("{memory: much}", "key 'resources.memory': value error, must be a size, like 2GB or 512MiB, got 'much'"),
        ("{memory: -1}", "key 'resources.memory': value error, must be a size, like 2GB or 512MiB, got -1"),
        ("{ram: 2GB}", "unknown key 'resources.ram'"),
        ("{cpus: .inf}", "key 'resources.cpus': "),
    ],
)
def test_what_means_nothing_is_named_by_file_and_key(tmp_path: Path, given: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        specs(tmp_path, f"resources: {given}")
    assert str(caught.value).startswith(f"{tmp_path / 'own.yaml'}: {said}")


def test_values_are_checked_from_python_too() -> None:
    wrong: list[dict[str, Any]] = [{"cpus": 10**9}, {"gpus": 0}, {"memory": 0}, {"cpus": True}]
    for fields in wrong:
        with pytest.raises(UsageError, match="key '"):
            Resources.of(**fields)
