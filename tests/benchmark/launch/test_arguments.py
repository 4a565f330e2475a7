"""What `run` is given is checked before anything is carried out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.benchmark.launch.runner import DEFAULT_EFFORT, run
from accord.benchmark.specs.limits import MOST
from accord.benchmark.specs.run import make_run
from accord.envs.errors import UsageError

ADDRESS, METHOD = "paper_seven/two_groups/average-0.27", "consensus-gossip"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"steps": 0}, "key 'steps': input should be greater than 0, got 0"),
        ({"steps": -5}, "key 'steps': input should be greater than 0, got -5"),
        ({"steps": 0.5}, "key 'steps': input should be a valid integer"),
        ({"steps": "1e4"}, "key 'steps': input should be a valid integer"),
        ({"steps": MOST + 1}, f"key 'steps': input should be less than or equal to {MOST}"),
        ({"seed": -1}, "key 'seed': input should be greater than or equal to 0, got -1"),
        ({"seed": 0.5}, "key 'seed': input should be a valid integer"),
        ({"seed": None}, "key 'seed': input should be a valid integer, got None"),
        ({"seed": MOST + 1}, f"key 'seed': input should be less than or equal to {MOST}"),
        ({"variant": 3}, "key 'variant': input should be a valid string, got 3"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_nothing_is_carried_out(tmp_path: Path, words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        run(ADDRESS, METHOD, root=tmp_path, **words)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_whole_numbers_may_be_written_as_others() -> None:
    assert DEFAULT_EFFORT.model_copy(update={"steps": 1e4}).steps == 10_000
    assert isinstance(DEFAULT_EFFORT.model_copy(update={"steps": 1e4}).steps, int)


def test_numbers_of_numpy_are_those_of_python() -> None:
    python = {"copies": 4, "dual": {"alpha": 0.1}, "ppo": {"hidden": [16]}}
    numpy = {"copies": np.int64(4), "dual": {"alpha": np.float64(0.1)}, "ppo": {"hidden": np.array([16])}}
    efforts = [DEFAULT_EFFORT.model_copy(update={"steps": steps}) for steps in (5000, np.int64(5000))]
    first, second = (
        make_run(ADDRESS, METHOD, seed, settings=settings, effort=effort)
        for seed, settings, effort in zip((3, np.int32(3)), (python, numpy), efforts, strict=True)
    )
    assert second == first
    assert second.digest == first.digest
    assert type(second.seed) is int
