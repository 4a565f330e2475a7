from typing import Any

from helpers.records import record

from accord.benchmark.boards.origins import made_by, trainings
from accord.benchmark.records.record import Record


def of_policy(policy: str, seed: int = 0) -> Record:
    return record(seed=seed).model_copy(update={"policy": policy})


def made(policy_revision: str = "", torch: str = "2.0", **where: Any) -> Record:
    one = record()
    known = {"git_revision": "a" * 40, "cpu": "X1", "instructions": "AVX2", "packages": {"torch": torch}}
    origin = one.provenance.model_copy(update=known | where)
    return one.model_copy(update={"provenance": origin, "policy_revision": policy_revision})


def test_learned_runs_are_counted_beside_their_trainings() -> None:
    runs = [of_policy("p"), of_policy("p"), of_policy("q"), of_policy("")]
    warning = "runs of one training in several scenarios are not independent."
    assert trainings(runs, runs) == f"3 learned runs rest on 2 trainings: {warning}"
    assert trainings(runs[1:], runs[1:]) == "2 learned runs rest on 2 trainings."
    assert trainings(runs[2:], runs[2:]) == "1 learned run rests on 1 training."
    assert trainings(runs[3:], runs[3:]) == ""


def test_runs_that_are_equal_on_several_networks_are_counted_once() -> None:
    runs = [of_policy("p"), of_policy("p"), of_policy("p")]
    assert trainings(runs, runs[:2]) == (
        "2 learned runs, those that are equal on several networks counted once, rest on 1 training: "
        "runs of one training in several scenarios are not independent."
    )


def test_one_version_on_one_machine_is_named() -> None:
    assert made_by([made(), made()]) == (
        "Made by one version of the code (aaaaaaa) on one kind of processor (X1 AVX2) with torch 2.0."
    )
    changed = made_by([made(git_revision="b" * 40 + "+changes")])
    assert "(bbbbbbb with changes that are in no revision)" in changed


def test_versions_and_machines_are_counted() -> None:
    runs = [made(), made(git_revision="b" * 40 + "+changes"), made(instructions="AVX512"), made(torch="2.1")]
    assert made_by(runs) == (
        "Made by 2 versions of the code (1 of them with changes that are in no revision) "
        "on 2 kinds of processor (X1 AVX2, X1 AVX512) with 2 versions of torch (2.0, 2.1)."
    )


def test_a_policy_of_another_version_counts() -> None:
    assert made_by([made(policy_revision="a" * 40)]).startswith("Made by one version")
    assert made_by([made(policy_revision="c" * 40)]).startswith("Made by 2 versions")


def test_what_a_gpu_computed_is_counted() -> None:
    gpu = made(gpu="G1")
    there = gpu.model_copy(update={"spec": gpu.spec.model_copy(update={"device": "cuda"})})
    others = "the other 1 on processors; between the two numbers differ by rounding."
    assert made_by([made(), there, there]).endswith(f" 2 of 3 runs were computed on a GPU (G1), {others}")
    assert made_by([there]).endswith(" 1 of 1 runs was computed on a GPU (G1).")
