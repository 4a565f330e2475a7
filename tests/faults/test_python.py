"""Calls from Python that are wrong: refused in a line, and nothing is broken by them; or they do what they say."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from helpers.cases import Draw

import accord
from accord.envs.errors import UsageError, quoted

SEVEN, GAME, AGENTS = "campus_seven/two_groups/hourly-0.35", "games/two_step", "allocation_4x2/radius-1/failures"
# What somebody may hand over in the place of anything.
THINGS: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2, 1.5, math.nan, math.inf, 10**30, 10**5000, -(2**63), "", "text", "\0", "a" * 5000, "1"),
    *(b"bytes", [], {}, (), [1, 2], {"a": 1}, {1: 2}, object(), int, print, 1j, Path("x"), np.float32(2), np.int8(-3)),
    *(np.zeros(3), np.array([]), np.array(["a"]), np.array([None]), torch.zeros(2), torch.tensor(1), range(3), {1, 2}),
    *(np.full((7, 2), np.nan), torch.full((2,), torch.inf), [[1], [1, 2]], [None] * 7, float, [[0.5] * 7], "drawn"),
    *(np.full(2, 1e300), [0.5, "a"], np.full(2, 0.5), [0.5, 2.0], np.datetime64("now"), torch.full((2,), 0.5).bool()),
)


def check_values(values: Any) -> None:
    """Every number in what an environment gave is finite."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, (tuple, list)):
        for part in values:
            check_values(part)
    elif isinstance(values, (float, np.ndarray)):
        assert np.isfinite(values).all(), values


def failing(case: str, call: Callable[[], Any]) -> str:
    """What is wrong with a call: nothing where it is carried out, or refused in one line."""
    try:
        call()
    except UsageError as mistake:
        return f"{case}: not one line: {mistake}" if len(str(mistake).splitlines()) != 1 else ""
    except Exception as fault:
        return f"{case}: {type(fault).__name__}: {fault}"[:400]
    return ""


ARGUMENTS: dict[str, tuple[str, ...]] = {
    "make": ("address", "device", "price", "discrete"),
    "parallel_env": ("address", "device", "price", "discrete", "start", "horizon"),
    "vector_env": ("address", "device", "price", "discrete", "start", "horizon", "copies"),
    "run": ("scenario", "method", "seed", "variant", "settings", "steps", "trained_on"),
}


def used(name: str, arguments: Mapping[str, Any]) -> None:
    """Call a function of Accord, and use what it gives."""
    made = getattr(accord, name)(**arguments)
    if name == "run":
        assert made.status == "done", made.error
    elif name == "make":
        assert made.reset(2, torch.Generator().manual_seed(0)).obs.isfinite().all()
    else:
        check_values(made.reset(seed=0))
        check_values(made.step(sampled(made)))


def sampled(env: Any) -> Any:
    """Actions that are sound."""
    agents = getattr(env, "agents", None)
    space = env.action_space
    return space.sample() if agents is None else {agent: space(agent).sample() for agent in agents}


def test_a_call_is_refused_in_one_line_or_does_what_it_says(draw: Draw, tmp_path: Path) -> None:
    wrong = []
    for case, generator in draw("calls", 300):
        name = generator.choice(list(ARGUMENTS))
        arguments: dict[str, Any] = {"address": generator.choice((SEVEN, GAME, AGENTS))}
        if name == "vector_env":
            arguments["copies"] = 2
        if name == "run":
            arguments = {"scenario": GAME, "method": "random", "root": tmp_path}
        arguments |= {generator.choice(ARGUMENTS[name]): generator.choice(THINGS)}
        said = ", ".join(f"{word}={quoted(value)}" for word, value in arguments.items())
        wrong.append(failing(f"{case}: {name}({said})", lambda name=name, given=arguments: used(name, given)))
    assert not any(wrong), "\n".join(filter(None, wrong))


def wrong_step(env: Any, generator: Random) -> tuple[str, Any]:
    """Actions that are wrong in one place, and how."""
    actions, thing = sampled(env), generator.choice(THINGS)
    if not isinstance(actions, dict):
        return f"{quoted(thing)} in the place of all", thing
    kind = generator.choice(("all", "one", "missing", "unknown", "one"))
    if kind == "all" or not actions:
        return f"{quoted(thing)} in the place of all", thing
    agent = generator.choice(list(actions))
    if kind == "missing":
        return "one is missing", {name: action for name, action in actions.items() if name != agent}
    key = agent if kind == "one" else generator.choice(("agent_99", "", 3, None, ("agent_0",)))
    return f"{quoted(thing)} of {key!r}", actions | {key: thing}


def wrong_reset(generator: Random) -> dict[str, Any]:
    """Arguments of a reset, wrong in one place."""
    thing = generator.choice(THINGS)
    other = {"waiting_load": np.zeros(7), "soc": np.zeros(7)}
    return generator.choice(
        (
            {"seed": thing},
            {"options": thing},
            {"options": {"start": thing}},
            {"options": {"initial": thing}},
            {"options": {"initial": {"soc": thing}}},
            {"options": {"initial": other | {"soc": thing}}},
            {"options": {"initial": other | {"waiting_load": thing}}},
        )
    )


FACES: dict[str, Callable[[], Any]] = {
    "seven": lambda: accord.parallel_env(SEVEN, start=5, horizon=3),
    "a game": lambda: accord.parallel_env(GAME),
    "agents that stop": lambda: accord.parallel_env(AGENTS),
    "a grid": lambda: accord.parallel_env(SEVEN, start=5, discrete=3),
    "prices": lambda: accord.parallel_env(SEVEN, start=5, price=1.0),
    "a vector": lambda: accord.vector_env(SEVEN, 2, start=5, horizon=3),
    "a vector of games": lambda: accord.vector_env(GAME, 2),
}


def test_a_wrong_action_or_reset_changes_nothing(draw: Draw) -> None:
    """Beside an environment that is called wrongly in between goes one that is not: they show the same."""
    wrong = []
    for case, generator in draw("actions and resets", 300):
        face = generator.choice(list(FACES))
        env, twin = FACES[face](), FACES[face]()
        if generator.random() < 0.1:
            wrong.append(failing(f"{case}, {face}: step before reset", lambda env=env: env.step({})))
            wrong.append(failing(f"{case}, {face}: state before reset", lambda env=env: env.state()))
        env.reset(seed=1), twin.reset(seed=1)
        for _ in range(generator.randrange(4)):
            actions = sampled(env)
            env.step(actions), twin.step(actions)
        if generator.random() < 0.3:
            arguments = wrong_reset(generator)
            said = f"{case}, {face}: reset({quoted(arguments)})"
            wrong.append(failing(said, lambda env=env, given=arguments: check_values(env.reset(**given))))
            env.reset(seed=1), twin.reset(seed=1)
        else:
            how, given = wrong_step(env, generator)
            try:
                check_values(env.step(given))
                twin.step(given)
            except UsageError:
                pass
            except Exception as fault:
                wrong.append(f"{case}, {face}: {how}: {type(fault).__name__}: {fault}"[:400])
                continue
        actions = sampled(env)
        if actions is None or len(actions) == 0:
            continue
        one, other = env.step(actions), twin.step(actions)
        same = all(np.array_equal(a, b) for a, b in zip(leaves(one[:2]), leaves(other[:2]), strict=True))
        wrong.append("" if same else f"{case}, {face}: the next step is another")
    assert not any(wrong), "\n".join(filter(None, wrong))


def leaves(values: Any) -> list[Any]:
    """Arrays and numbers, in order."""
    parts = values.values() if isinstance(values, Mapping) else values if isinstance(values, (tuple, list)) else None
    return [values] if parts is None else [leaf for part in parts for leaf in leaves(part)]
