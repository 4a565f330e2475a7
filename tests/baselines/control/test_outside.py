"""Policies from outside: functions, objects with `predict`, torch modules."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from accord.baselines.audit import audit_method
from accord.baselines.control.outside import OutsideController
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin
from accord.benchmark.records.identity import identity_here
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

DISTRICT, GAME = "paper_seven/ring/average-0.27", "games/two_step"
Array = NDArray[np.float32]
SOURCE = '''
import numpy as np

def half(observations):
    """Half of all."""
    return np.full((len(observations), 2), 0.5)

def mean(observations):
    return np.repeat(observations.mean(0, keepdims=True), len(observations), 0)[:, :2]

def drawn(observations):
    return np.random.rand(len(observations), 2)

class Loads:
    def __init__(self, number):
        self.number = number

    @classmethod
    def load(cls, path):
        return cls(float(open(path).read()))

    def predict(self, observations, deterministic=False):
        assert deterministic
        return np.full((len(observations), 2), self.number), None

number = 5
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("outside") / "policies_from_outside.py"
    path.write_text(SOURCE)
    return path


def acted(policy: Any, address: str, batch: int = 1, *, joint: bool = False) -> Tensor:
    """Its first actions [B, N, A]."""
    scenario, generator = resolve(address), torch.Generator().manual_seed(0)
    task, controller = scenario.task(), OutsideController(policy, joint=joint)
    begin(task, controller, scenario.network(), batch, generator)
    return controller.act(task.reset(batch, generator))


def test_a_function_gets_a_row_per_agent_and_copy_by_copy() -> None:
    seen: list[Array] = []

    def policy(observations: Array) -> Array:
        seen.append(observations)
        return observations[:, :2] * 0 + np.arange(len(observations))[:, None]

    width = resolve(DISTRICT).task().spec.obs_dim
    actions = acted(policy, DISTRICT, batch=3)
    assert [(array.shape, array.dtype) for array in seen] == [((7, width), np.float32)] * 3
    assert actions.shape == (3, 7, 2)
    assert actions[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1, 1]  # clamped to the box


def test_predict_is_asked_without_chance_and_with_one_row_where_its_space_is_that_wide() -> None:
    class Model:
        def __init__(self, shape: tuple[int, ...]) -> None:
            self.observation_space = type("Space", (), {"shape": shape})

        def predict(self, observations: Array, deterministic: bool = False) -> tuple[Array, None]:
            assert deterministic
            assert observations.shape == (self.observation_space.shape if joint else (7, width))
            return np.full(14 if joint else (7, 2), 0.25), None

    width = resolve(DISTRICT).task().spec.obs_dim
    for joint in (False, True):
        actions = acted(Model((7 * width,) if joint else (width,)), DISTRICT, joint=joint)
        assert (actions == 0.25).all()
        assert actions.shape == (1, 7, 2)


def test_a_torch_module_gives_the_output_that_it_calls_action() -> None:
    class Actor(torch.nn.Module):
        out_keys = ("loc", ("agents", "action"), "log_prob")

        def forward(self, observations: Tensor) -> tuple[Tensor, ...]:
            assert isinstance(observations, Tensor)
            return torch.zeros(7, 2), torch.full((7, 2), 0.75), torch.zeros(7)

    assert (acted(Actor(), DISTRICT) == 0.75).all()


def test_discrete_actions_are_indices() -> None:
    actions = acted(lambda observations: np.ones((len(observations), 1)), GAME, batch=2)
    assert actions.dtype == torch.long
    assert actions.shape == (2, 2, 1)


@pytest.mark.parametrize(
    ("policy", "address", "said"),
    [
        (lambda o: np.zeros((3, 2)), DISTRICT, r"actions of shape \[3, 2\]; allowed: \[7, 2\], a row per agent"),
        (lambda o: np.full((7, 2), np.nan), DISTRICT, "not a finite number"),
        (lambda o: np.full((7, 2), 1j), DISTRICT, "it gave complex numbers; allowed: real ones"),
        (lambda o: "left", DISTRICT, r"it gave a str; allowed: an array \[7, 2\]"),
        (lambda o: np.full((2, 1), 9), GAME, "not one of the 2; allowed: 0 to 1"),
        (lambda o: np.full((2, 1), 0.5), GAME, "not one of the 2"),
    ],
)
def test_what_is_no_action_is_named(policy: Any, address: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"policy: .*{said}"):
        acted(policy, address)


@pytest.mark.parametrize(
    ("policy", "model", "said"),
    [
        ("", "", "method 'outside': names no policy; it runs and is audited by: accord evaluate POLICY"),
        ("half", "", "POLICY: 'half' names no policy; allowed: MODULE:NAME or FILE.py:NAME"),
        ("nowhere.py:half", "", "POLICY: .*nowhere.py: no such file"),
        ("nowhere_at_all:half", "", "POLICY: nowhere_at_all cannot be loaded: ModuleNotFoundError"),
        ("FILE:quarter", "", "POLICY: .* has no 'quarter'"),
        ("FILE:number", "", "is a int; allowed: a function, or an object with `predict`"),
        ("FILE:Loads", "", "cannot be made: TypeError"),
        ("FILE:Loads", "nowhere.zip", "--model: nowhere.zip: no such file"),
        ("FILE:half", "FILE", "--model: .* has no `load`; allowed: a class like stable_baselines3:PPO"),
        ("FILE:Loads", "FILE", "--model: .* cannot be loaded: ValueError"),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_named(file: Path, policy: str, model: str, said: str) -> None:
    settings = {"policy": policy.replace("FILE", str(file)), "model": model.replace("FILE", str(file))}
    with pytest.raises(UsageError, match=said):
        make_method("outside", settings).build(resolve(DISTRICT).task(), torch.Generator())


def test_the_audit_finds_who_looks_at_others(file: Path) -> None:
    found = {name: audit_method("outside", {"policy": f"{file}:{name}"}).verdict for name in ("half", "mean", "drawn")}
    assert found == {"half": "own numbers", "mean": "FAILED", "drawn": "own numbers"}
    assert audit_method("outside", {"policy": f"{file}:mean", "joint": True}).verdict == "central"


def test_a_run_belongs_to_the_code_and_the_file_of_its_policy(file: Path, tmp_path: Path) -> None:
    model, other = tmp_path / "model.txt", tmp_path / "another_policy_from_outside.py"
    other.write_text(SOURCE.replace("0.5", "0.4"))

    def code(policy: str, model: str = "") -> str:
        run = make_run(DISTRICT, "outside", 0, settings={"policy": policy, "model": model}, variant="mine")
        assert run.variant == "mine"
        return identity_here(resolve_run(run)).code

    assert code(f"{file}:half") == code(f"{file}:half")
    assert code(f"{file}:half") != code(f"{other}:half")
    model.write_text("0.1")
    first = code(f"{file}:Loads", str(model))
    model.write_text("0.2")
    assert code(f"{file}:Loads", str(model)) != first
