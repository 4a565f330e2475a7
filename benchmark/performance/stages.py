"""Where the time of execution goes: what runs is told apart by what it is for, without touching the methods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from accord.baselines.base import Controller
from accord.baselines.training.actors import Actor
from accord.envs.demand_response.observations import Observations
from accord.envs.network import Network

STAGES = ("observe", "policy", "dynamics", "dual", "messages")
FEWEST, MOST_STEPS = 2, 500  # hours of execution that are measured, after the first
TALKS = ("mix", "mean", "neighbour_mean", "propagate", "gather")


class Stopwatch:
    """Seconds by stage; a stage inside another one stops the outer one's clock.

    Attributes:
        seconds: Of each of `STAGES`.
    """

    def __init__(self, wait: Callable[[], None] = lambda: None) -> None:
        """Set up.

        Args:
            wait: Called before the clock is read; waits for an accelerator.
        """
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._wait = wait
        self._open: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """What runs inside is of this stage."""
        self._lap()
        self._open.append(stage)
        try:
            yield
        finally:
            self._lap()
            self._open.pop()

    def _lap(self) -> None:
        self._wait()
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """The function, its time counted for a stage."""

        def run(*args: Any, **kwargs: Any) -> Any:
            with self(stage):
                return function(*args, **kwargs)

        return run


@contextmanager
def timed_by_stage(controller: Controller, wait: Callable[[], None] = lambda: None) -> Iterator[Stopwatch]:
    """A stopwatch that knows observations, actors and messages wherever they are called from; see `Stopwatch`.

    What else a controller does before it acts is `observe` where it has an actor, and `policy` where it has none.
    """
    watch = Stopwatch(wait)
    actors = {type(part) for module in controller.modules().values() for part in module.modules()}
    with ExitStack() as patches:
        named = [(Observations, "observe", "observe"), *((Network, name, "messages") for name in TALKS)]
        named += [
            (actor, name, "policy") for actor in actors if issubclass(actor, Actor) for name in ("mode", "sample")
        ]
        for owner, name, stage in named:
            if name in vars(owner):
                patches.enter_context(mock.patch.object(owner, name, watch.timed(getattr(owner, name), stage)))
        yield watch


def by_stage(seconds: Mapping[str, float], agent_steps: int) -> dict[str, float]:
    """What each stage takes of an agent's step, in µs, by the names that a cell has for it."""
    return {f"{stage}_microseconds": 1e6 * seconds[stage] / agent_steps for stage in STAGES}


def acting(controller: Controller) -> str:
    """The stage that a controller's `act` counts for, apart from what is known inside it."""
    parts = (part for module in controller.modules().values() for part in module.modules())
    return "observe" if any(isinstance(part, Actor) for part in parts) else "policy"
