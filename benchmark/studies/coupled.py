"""The figures of Esfahani and Gros' example: what changes while plans learn, and an episode before and after.

`python -m accord.benchmark.studies.coupled --root runs --to results/coupled/figures` looks at the policies of suite
`coupled` in a store, and runs those that it lacks, by `--launcher` as `accord run` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from accord.baselines.rollout import begin
from accord.benchmark.figures.canvas import PAGE_WIDTH, panels_of, save, shared_legend, style
from accord.benchmark.figures.styles import BLUE, GREEN, VERMILION
from accord.benchmark.launch.jobs import Launcher
from accord.benchmark.launch.start import LAUNCHERS, launch, launcher_of
from accord.benchmark.launch.training import controller_of
from accord.benchmark.places import SCRATCH, place_from
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.resolved import ResolvedRun, resolve_run
from accord.benchmark.specs.suite import load_suite
from accord.benchmark.terminal import plain_console
from accord.envs.errors import UsageError
from accord.envs.toy.coupled_linear import AGENTS, BOUNDS, COUPLINGS, STEPS

Array = NDArray[np.float64]
SUITE, LEARNS, STAYS = "coupled", "dmpc_q", "coupled_mpc"
COLOURS = (BLUE, VERMILION, GREEN)
BLOCK = 10  # updates whose mean is a point
START = 0  # seed of the episode
Row = Mapping[str, float]


def curves_and_episodes(store: Store, launcher: Launcher) -> tuple[list[Sequence[Row]], dict[str, dict[str, Array]]]:
    """Training curves of every seed; and an episode with what the first seed learned, and one with nothing learned."""
    runs = [resolve_run(spec) for spec in runs_of(load_suite(SUITE)) if not spec.variant]
    learned = [run for run in runs if run.spec.method == LEARNS]
    if failed := launch([run.spec for run in learned], store, launcher=launcher).failed:
        raise UsageError(f"{len(failed)} of {len(learned)} runs failed, the first of them {failed[0].spec.label}")
    policies = [store.policy(policy_here(run)).finished() for run in learned]
    curves = [policy["curve"] for policy in policies if policy is not None]
    plain = next(run for run in runs if run.spec.method == STAYS)
    return curves, {"learned": episode(learned[0], store), "unlearned": episode(plain, store)}


def episode(run: ResolvedRun, store: Store) -> dict[str, Array]:
    """One episode of a run's policy.

    Returns:
        `input`, `position` and `velocity`, [T, 3] each.
    """
    task, network, generator = run.scenario.task(), run.scenario.network(), seeded(START, "evaluate")
    controller = controller_of(run, store, run.scenario)
    begin(task, controller, network, 1, generator)
    rows: dict[str, list[Array]] = {"input": [], "position": [], "velocity": []}
    step = task.reset(1, generator)
    for _ in range(STEPS):
        action = controller.act(step)
        step = task.step(action)
        rows["input"].append(action[0, :, 0].double().numpy())
        for name in ("position", "velocity"):
            rows[name].append(step.measures[name][0].double().numpy())
    return {name: np.stack(values) for name, values in rows.items()}


def draw_learning(curves: Sequence[Sequence[Row]]) -> Figure:
    """What changes with the samples: distances, the first agent's bound, temporal differences and stage cost.

    Lines are means over `BLOCK` episodes of a hundred samples, thin ones of a seed and thick ones of all.
    """
    names = ["Distances", "x₁ below its bound (% of steps)", "Temporal difference", "Stage cost"]
    figure, panels = panels_of("", names, width=PAGE_WIDTH, height=2.4, columns=4, sharey=False)
    for axes, keys in zip(
        panels,
        ([f"distance_{i + 1}{j + 1}" for i, j, _ in COUPLINGS], ["below_bound"], ["td_error"], ["stage_cost"]),
        strict=True,
    ):
        for key, colour in zip(keys, COLOURS, strict=False):
            seeds = np.stack([_blocks([row[key] for row in curve]) for curve in curves])
            seeds = 100 * seeds if key == "below_bound" else seeds
            samples = _blocks([row["steps"] / AGENTS / 1e3 for row in curves[0]])
            label = f"x{key[-2]} − x{key[-1]}" if key.startswith("distance") else None
            for seed in seeds:
                axes.plot(samples, np.abs(seed), color=colour, linewidth=0.4, alpha=0.6)
            axes.plot(samples, np.abs(seeds.mean(0)), color=colour, label=label)
        axes.set(xlabel="Samples (thousand)")
        axes.set_ylim(bottom=0)
    for (*_, distance), colour in zip(COUPLINGS, COLOURS, strict=True):
        panels[0].axhline(abs(distance), color=colour, linewidth=0.5, linestyle=":")
    shared_legend(figure, panels[:1], "Dotted: what is asked for; thin: single seeds")
    return figure


def draw_episodes(episodes: Mapping[str, Mapping[str, Array]]) -> Figure:
    """Inputs, distances and states over an episode; solid with what was learned, dashed without."""
    names = ["Inputs", "Distances", "Positions", "Velocities"]
    figure, panels = panels_of("", names, width=PAGE_WIDTH, height=2.4, columns=4, sharey=False)
    for rows, dash in zip((episodes["learned"], episodes["unlearned"]), ("-", "--"), strict=True):
        position = rows["position"]
        apart = np.stack([np.abs(position[:, i] - position[:, j]) for i, j, _ in COUPLINGS], -1)
        for axes, values in zip(panels, (rows["input"], apart, position, rows["velocity"]), strict=True):
            for k, colour in enumerate(COLOURS):
                axes.plot(values[:, k], color=colour, linestyle=dash, label=f"{k + 1}" if dash == "-" else None)
            axes.set(xlabel="Step")
    for (*_, distance), colour in zip(COUPLINGS, COLOURS, strict=True):
        panels[1].axhline(abs(distance), color=colour, linewidth=0.5, linestyle=":")
    panels[2].axhline(BOUNDS[0][0], color=COLOURS[0], linewidth=0.5, linestyle=":")
    pairs = ", ".join(f"{k + 1}: agents {i + 1} and {j + 1}" for k, (i, j, _) in enumerate(COUPLINGS))
    shared_legend(figure, panels[:1], f"Agent, or pair ({pairs}); dashed: not learned; dotted: what is asked for")
    return figure


def _blocks(values: Sequence[float]) -> Array:
    """Means of `BLOCK` values in a row; what is left over at the end is left out."""
    block = min(BLOCK, len(values))
    return np.asarray(np.reshape(values[: len(values) // block * block], (-1, block)).mean(1))


def main() -> None:
    """Draw both."""
    parser = argparse.ArgumentParser(description="Figures of suite coupled.")
    parser.add_argument("--root", type=place_from, default=SCRATCH, help="where scratch runs are kept")
    parser.add_argument("--to", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--launcher", choices=LAUNCHERS, default=LAUNCHERS[0], help="what carries runs out")
    parser.add_argument("--address", help="of a running Ray cluster")
    parser.add_argument("--jobs", type=int, help="processes at a time")
    asked = parser.parse_args()
    try:
        launcher = launcher_of(
            asked.launcher, asked.root, plain_console(stderr=True), address=asked.address, jobs=asked.jobs
        )
        curves, episodes = curves_and_episodes(Store(asked.root), launcher)
    except UsageError as mistake:
        parser.error(str(mistake))
    with style():
        for name, figure in (("learning", draw_learning(curves)), ("episode", draw_episodes(episodes))):
            for path in save(figure, asked.to / name):
                print(path)


if __name__ == "__main__":
    main()
