"""Conformance checks for methods, ours and those of other packages.

    from accord.baselines.testing import check_method
    check_method("my-method", "paper_seven/ring/average-0.27", steps=10_000)

A check that fails raises an `AssertionError` whose text says what was found.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from accord.baselines.audit import audit_method
from accord.baselines.base import Controller, Effort, Method, Training
from accord.baselines.registry import make_method
from accord.baselines.rollout import begin
from accord.envs.catalogue import resolve
from accord.envs.scenario import Scenario
from accord.envs.task import Box, TaskSpec

COPIES, STEPS = 2, 6
ENDLESS = 1e9  # seconds


def check_method(
    name: str, address: str, settings: Mapping[str, Any] | None = None, *, steps: int = 10_000, audit: bool = True
) -> None:
    """Check a method: actions, training and its log, resuming, the round trip of its state, and its locality.

    Args:
        name: As it is registered.
        address: A scenario that it acts on.
        settings: Changes to its defaults, to make it small.
        steps: Agent-steps of a training, enough for some checkpoints.
        audit: Hold its claim of being decentralised against what it does at this address, see `baselines.audit`.

    Raises:
        AssertionError: what does not hold.
        UsageError: an unknown method, scenario or setting.
    """
    scenario, given = resolve(address), dict(settings or {})
    method = make_method(name, given)
    known = method.config.model_dump(mode="json")
    assert method.config_type(**known) == method.config, "settings change when they are written and read"
    if method.learns:
        controller = _check_training(method, scenario, steps)
    else:
        without = Training.without_effort(torch.Generator().manual_seed(0))
        controller = method.train(scenario.task(), scenario.network(), without)
    _check_state(method, scenario, controller)
    assert controller.privileged == method.privileged, "method and controller differ in `privileged`"
    if audit:
        found = audit_method(name, given, address)
        assert found.passed, (
            f"claims to be decentralised within {found.rounds} hops a step, and {found.reach} hops away agents moved; "
            f"allowed: {found.allowed}"
        )


def actions_of(controller: Controller, scenario: Scenario) -> Tensor:
    """What a controller does in a short rollout, [T, B, N, A].

    Raises:
        AssertionError: an action that is not in the task's space.
    """
    task, network, generator = scenario.task(), scenario.network(), torch.Generator().manual_seed(2)
    done = []
    copies = 1 if controller.privileged else COPIES
    with torch.inference_mode():
        begin(task, controller, network, copies, generator)
        step = task.reset(copies, generator, horizon=2 * STEPS)
        for _ in range(STEPS):
            if step.links is not None:
                network.move(step.links)
            done.append(controller.act(step))
            _check_actions(task.spec, done[-1], copies)
            step = task.step(done[-1])
            controller.feedback(step)
    return torch.stack(done)


class MemoryCheckpoint:
    """A checkpoint in memory that can be cut off after some saves.

    Attributes:
        states: Everything that was saved, the last one last.
    """

    def __init__(self, states: list[dict[str, Any]] | None = None) -> None:
        """Set up.

        Args:
            states: What was saved before.
        """
        self.states = states or []

    def load(self) -> dict[str, Any] | None:
        """The last state."""
        return self.states[-1] if self.states else None

    def save(self, state: dict[str, Any]) -> None:
        """Keep it as a file would.

        Raises:
            AssertionError: a file that held it could not be read back.
        """
        self.states.append(read_back(state))

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """Keep nothing."""


def read_back(state: dict[str, Any]) -> dict[str, Any]:
    """A state as the harness reads it from the file that it wrote it to.

    Raises:
        AssertionError: it holds what is not read from files: anything but tensors, numbers, texts, lists and mappings.
    """
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    try:
        found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        raise AssertionError(f"a state cannot be read back from a file: {' '.join(str(fault).split())}") from None
    return found


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested states are not equal bit for bit."""
    if isinstance(one, Tensor):
        return [] if torch.equal(one, other) else [path]
    if isinstance(one, Mapping):
        if one.keys() != other.keys():
            return [path]
        return [found for key in one for found in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list):
        if len(one) != len(other):
            return [path]
        pairs = enumerate(zip(one, other, strict=True))
        return [found for i, pair in pairs for found in differences(*pair, f"{path}/{i}")]
    return [] if one == other or (one != one and other != other) else [path]


def _check_training(method: Method, scenario: Scenario, steps: int) -> Controller:
    """It logs, it reaches its steps, and an interrupted training goes on bit for bit, in its log too."""
    rows, later = list[Mapping[str, float]](), list[Mapping[str, float]]()
    whole = MemoryCheckpoint()
    controller = _train(method, scenario, steps, whole, rows.append)
    assert rows, "training logged nothing"
    assert all({"steps", "seconds"} <= row.keys() for row in rows), "a row of the log lacks `steps` or `seconds`"
    for name in ("steps", "seconds"):
        values = [row[name] for row in rows]
        assert values == sorted(values), f"`{name}` falls in the log"
    assert rows[-1]["steps"] >= steps, f"training stopped at {rows[-1]['steps']:.0f} of {steps} agent-steps"
    assert len(whole.states) > 1, f"{len(whole.states)} checkpoints in {steps} agent-steps; give more steps"
    half = MemoryCheckpoint(whole.states[: len(whole.states) // 2])
    resumed = _train(type(method)(method.config), scenario, steps, half, later.append)
    assert len(later) < len(rows), "an interrupted training begins anew"
    lost = differences(controller.state_dict(), resumed.state_dict())
    lost += differences([_untimed(row) for row in rows[len(rows) - len(later) :]], [_untimed(row) for row in later])
    assert not lost, f"an interrupted training ends elsewhere: {', '.join(lost[:3])}"
    return controller


def _untimed(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if "seconds" not in name}


def _train(
    method: Method,
    scenario: Scenario,
    steps: int,
    checkpoint: MemoryCheckpoint,
    log: Callable[[Mapping[str, float]], None] = lambda row: None,
) -> Controller:
    training = Training(Effort(steps, ENDLESS), torch.Generator().manual_seed(0), log, checkpoint)
    return method.train(scenario.task(), scenario.network(), training)


def _check_state(method: Method, scenario: Scenario, controller: Controller) -> None:
    """What was learned can be taken to another controller, which then acts alike; and a rollout leaves no trace."""
    acts = actions_of(controller, scenario)
    assert torch.equal(acts, actions_of(controller, scenario)), "a second rollout from one seed acts otherwise"
    if not method.learns:
        return
    fresh = method.build(scenario.task(), torch.Generator().manual_seed(9))
    fresh.load_state_dict(read_back(controller.state_dict()))
    assert torch.equal(acts, actions_of(fresh, scenario)), "a controller that took the state acts otherwise"


def _check_actions(spec: TaskSpec, actions: Tensor, copies: int) -> None:
    shape = (copies, spec.n_agents, spec.action.size)
    assert actions.shape == shape, f"actions have shape {tuple(actions.shape)}, not {shape}"
    if isinstance(spec.action, Box):
        assert bool(torch.isfinite(actions).all()), "an action is not a finite number"
    else:
        inside = (actions >= 0) & (actions < spec.action.n)
        assert bool(inside.all()), f"an action is not one of the {spec.action.n}"
