"""Multi-resource allocation to look at: an episode as an animated picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.animation import PillowWriter
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from torch import Tensor

from accord.envs.allocation.dynamics import DT, REACH, ResourceAllocation
from accord.envs.task import Step

EVERY = 2  # steps per picture
SIZE, DOTS = 4.0, 100  # inches, dots per inch
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")


def animate(
    task: ResourceAllocation, act: Callable[[Step], Tensor], path: Path, generator: torch.Generator, steps: int
) -> float:
    """Write an episode of one copy as an animated GIF and return its reward, summed over agents and steps.

    Consumers are circles of their reach, filled as far as they need something; agents are dots as large as what they
    carry, in the colour of the resource that they carry most of, grey once they have failed; lines join those who can
    talk. One second lasts one second.

    Args:
        task: What to show.
        act: Actions [1, N, 2] for a step.
        path: Of the GIF.
        generator: Source of the episode.
        steps: How many to show.
    """
    figure = Figure(figsize=(SIZE, SIZE), dpi=DOTS, layout="constrained")
    axes = figure.subplots()
    step, total = task.reset(1, generator), 0.0
    asked = float(task.demand.sum(-1).max())
    writer = PillowWriter(fps=round(1 / (DT * EVERY)))
    with writer.saving(figure, path, DOTS):
        for t in range(steps):
            if t % EVERY == 0:
                axes.clear()
                _draw(axes, task, step, asked)
                axes.set_title(f"{task.spec.name}, {t * DT:.0f} s, return {total:.2f}", fontsize=8)
                writer.grab_frame()
            step = task.step(act(step))
            total += float(step.reward.sum())
    return total


def _draw(axes: Axes, task: ResourceAllocation, step: Step, asked: float) -> None:
    """One picture of the first copy."""
    places, consumers = task.places[0].numpy(), task.consumers[0].numpy()
    carried, demand, alive = task.carried[0].numpy(), task.demand[0].numpy(), task.alive[0].numpy()
    for where, need in zip(consumers, demand, strict=True):
        colour = COLOURS[int(need.argmax()) % len(COLOURS)]
        axes.add_patch(Circle(where, REACH, fill=False, color="grey"))
        axes.add_patch(Circle(where, REACH * (need.sum() / asked) ** 0.5, color=colour, alpha=0.4))
    assert step.links is not None
    first, second = np.nonzero(np.triu(step.links[0].numpy()))
    axes.add_collection(LineCollection(list(np.stack([places[first], places[second]], 1)), colors="lightgrey", lw=0.5))
    colours = [
        COLOURS[int(own.argmax()) % len(COLOURS)] if lives else "grey"
        for own, lives in zip(carried, alive, strict=True)
    ]
    axes.scatter(
        places[:, 0], places[:, 1], s=10 + 40 * carried.sum(-1), c=colours, edgecolors="black", linewidths=0.4, zorder=2
    )
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xticks=[], yticks=[], aspect="equal")
