"""The commands of multi-resource allocation: an episode to look at, and studies that name what is missing."""

from pathlib import Path

import pytest
from PIL import Image

from accord.benchmark.cli.allocation import film, studies
from accord.envs.allocation.animation import EVERY
from accord.envs.allocation.dynamics import STEPS
from accord.envs.errors import UsageError

STEADY = "allocation_10x1/radius-1/steady"


def test_an_episode_of_a_method_becomes_a_film(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "film.gif"
    film("allocation_expert", STEADY, seed=0, variant="", to=path, root=tmp_path / "runs")
    with Image.open(path) as picture:
        assert 20 < picture.n_frames <= STEPS / EVERY  # equal ones are one
    told = capsys.readouterr().out.replace("\n", "")
    assert told.startswith(str(path))
    assert float(told.rsplit(maxsplit=1)[-1]) > 4


@pytest.mark.parametrize(
    ("method", "scenario", "variant", "message"),
    [
        ("ippo", "games/two_step", "", "SCENARIO: 'games/two_step' is not multi-resource allocation"),
        ("ipo", STEADY, "", "METHOD: unknown method 'ipo'; did you mean 'ippo'"),
        ("ippo", STEADY, "tight", f"--variant: ippo has no variant 'tight' on '{STEADY}'; allowed: ''"),
        (
            "ippo",
            "allocation_9x1/radius-1/steady",
            "",
            "METHOD: suite 'allocation' does not run ippo on 'allocation_9x1",
        ),
    ],
)
def test_what_cannot_be_shown_is_named(method: str, scenario: str, variant: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="^" + message):
        film(method, scenario, seed=0, variant=variant, to=None, root=tmp_path)


def test_studies_need_the_policies_of_the_suite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no policy under .*; first: accord run allocation"):
        studies(publish=False, root=tmp_path, results=tmp_path)
