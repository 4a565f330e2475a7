"""Methods that note when they are carried out; processes import this file by --import."""

import os
import time
from pathlib import Path
from typing import Any

from accord.baselines.base import Controller
from accord.baselines.control.fixed import ServeNow
from accord.baselines.registry import register


def note(what: str) -> None:
    with Path(os.environ["NOTES"]).open("a", encoding="utf-8") as file:
        file.write(f"{what}\n")


@register("noting", "nothing")
class Noting(ServeNow):
    """Notes each run."""

    def train(self, *args: Any) -> Controller:
        note("run")
        controller: Controller = super().train(*args)
        return controller


@register("learning", "nothing")
class Learning(ServeNow):
    """Notes each training."""

    learns = True

    def train(self, task: Any, network: Any, training: Any) -> Controller:
        note("training")
        training.log({"steps": training.effort.steps, "seconds": 0.5})
        controller: Controller = super().train(task, network, training)
        return controller


@register("stuck", "nothing")
class Stuck(ServeNow):
    """Notes that it began, and goes on only if it may."""

    def train(self, *args: Any) -> Controller:
        note("began")
        while not Path(os.environ["GO_ON"]).exists():
            time.sleep(0.02)
        controller: Controller = super().train(*args)
        return controller


@register("failing", "nothing")
class Failing(ServeNow):
    """Notes that it fails."""

    def train(self, *args: Any) -> Controller:
        note("failed")
        raise ValueError("this cannot be done")
