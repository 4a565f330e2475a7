"""What is published of the studies of multi-resource allocation: tables, a page to read and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accord.benchmark.figures.canvas import HANDLE, PAGE_WIDTH, panels_of, save, style
from accord.benchmark.figures.styles import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SHAPES,
    VERMILION,
    Line,
    Style,
    colours,
    handle,
    shapes,
    styles_of,
)
from accord.benchmark.records.published import write_published
from accord.benchmark.studies.gap import GAP_EPISODES
from accord.benchmark.studies.make import STUDIED, TRAINED_THERE, Tables
from accord.benchmark.studies.reassignment import AFTER, HELD, RECOVERED, SHAKEN
from accord.envs.allocation.dynamics import COLLISION, DONE, SERVED
from accord.envs.allocation.scenario import parse

CHANGED = ("clear", "flown", "attended", "silent", "connected")  # see `gap.gap`
FLOWN = "expert, flown"
PARTS = ("served", "completed", "collisions")
RANGE = ("pi", 100)  # of the seeds
COLOURS = (BLUE, ORANGE, VERMILION, GREEN, PURPLE)  # of the changes, and of the parts


def write_studies(tables: Tables, target: Path) -> list[Path]:
    """Write a CSV for each study, `studies.md` and the figure; return the files."""
    contents = {f"{study}.csv": table.to_csv(index=False) for study, table in tables.items()}
    contents["studies.md"] = markdown(tables)
    files = write_published(target, {name: text.encode() for name, text in contents.items()})
    with style():
        drawn = save(draw_gap(tables["gap"]), target / "figures" / "gap")
    return [*files, *drawn]


def markdown(tables: Tables) -> str:
    """The studies as tables to read."""
    parts = [
        "# Inside multi-resource allocation",
        "Medians over seeds, with the range of the seeds in brackets, unless said. The range of five seeds holds the "
        "median of all seeds in 93.75 %, that of three in 75 %.",
        "## Contraction",
        f"Policies of `{STUDIED}`. Log-norm of the Jacobian of LGTC's states, all agents together, on states that they "
        "visit; the certified rate holds wherever states stay within 1. Both are of the differential equation. Apart: "
        "how far two trajectories of the steps that policies take of it, from different states under the same inputs, "
        "are from each other after an episode, as a share of the beginning, in the worst one. Attention: mean weight "
        "of the consumer that an agent picks, of four. Agreement: mean distance between states of two agents who pick "
        "the same consumer, over that of two who differ.",
        _contraction(tables["contraction"]),
        "## Gap to the expert",
        f"Policies of `{STUDIED}`, but for those trained there. "
        f"Return in {GAP_EPISODES} episodes, the same in a row; in brackets what of the gap to the expert is demand "
        "that was not served, consumers that were not completed, and collisions (each a median: they need not add up). "
        "Clear: the policy's agents keep clear of each other as the expert's do. Flown: they are flown to the "
        "consumers that they head for as the expert flies, so that what is left is the assignment (and what is lost by "
        "telling from velocities where somebody heads: the expert's own row says how much). Attended: they are "
        "flown to the consumers that their attention picks. Silent and connected: nobody hears anybody, everybody "
        "hears everybody. Late: assignments of the expert's that ran into its time limit.",
        _gap(tables["gap"]),
        "## After a change",
        "Policies trained under these changes. "
        "What the first jump or failure of an episode adds to the regret of the consumers that agents head for, less "
        "that of the same policy in the same episode without it; the regret is what the assignment costs beyond the "
        "best one at that moment, as a share of the episode's demand. Means over episodes in which no second change "
        f"comes within {AFTER:g} s. Unchanged: the regret itself, at these times in the episode without the change. "
        f"Shaken: episodes in which a change adds more than {RECOVERED} within {SHAKEN:g} s; new assignment: seconds "
        f"until it is less again in these and stays so for {HELD:g} s, and in how many that is within {AFTER:g} s.",
        _reassignment(tables["reassignment"]),
    ]
    return "\n\n".join(parts) + "\n"


def gap_parts(table: pd.DataFrame) -> pd.DataFrame:
    """What the policy's return lacks to the expert's, in parts that add up to it; a row per scenario, variant, seed."""
    settings = table["scenario"].map(parse)
    n_agents = settings.map(lambda setting: setting.n_agents)
    parts = table.assign(
        n_agents=n_agents,
        served=SERVED * table["served"],
        completed=DONE * settings.map(lambda setting: setting.consumers) * table["completed"],
        collisions=-COLLISION * n_agents * table["collisions"],
    )
    keys = ["scenario", "n_agents", "variant", "seed"]
    policy, expert = (
        parts[parts["as"] == who].set_index(keys)[["episode_return", *PARTS]] for who in ("policy", "expert")
    )
    return (expert - policy).reset_index()


def draw_gap(table: pd.DataFrame) -> Figure:
    """Return against the number of agents, as it is and changed; and the parts of what it lacks."""
    own = table[(table["variant"] == "") & (table["as"] != FLOWN)]
    shown = own.assign(agents=own["scenario"].map(lambda address: parse(address).n_agents))
    parts = gap_parts(own).melt(["scenario", "n_agents", "variant", "seed"], PARTS, var_name="part", value_name="lacks")
    title = f"Policies trained with {parse(STUDIED).n_agents} agents"
    figure, panels = panels_of(
        title,
        ["return, median of seeds", "what it lacks to the expert, with the range of seeds"],
        sharey=False,
        width=PAGE_WIDTH,
    )
    expert, policy = Line("allocation_expert"), Line(str(own["method"].iloc[0]))
    methods = styles_of([expert, policy])
    styles = {"expert": methods[expert], "policy": methods[policy]}
    apart = list(map(Style, COLOURS, SHAPES))
    styles |= dict(zip(CHANGED, apart, strict=True))
    # The worst seeds of policies that hear nobody would flatten all else; the table has the ranges.
    _plot(panels[0], shown, "agents", "episode_return", "as", styles, None)
    _plot(panels[1], parts, "n_agents", "lacks", "part", dict(zip(PARTS, apart, strict=False)), RANGE)
    return figure


def _plot(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    styles: Mapping[str, Style],
    errorbar: tuple[str, int] | None,
) -> None:
    """Medians of y over seeds, a line for each value of a column, and their legend."""
    looks = {"hue": by, "style": by, **colours(styles), **shapes(styles)}
    sns.lineplot(table, x=x, y=y, ax=axes, estimator="median", errorbar=errorbar, **looks)
    axes.set(xlabel="agents", ylabel="")
    present = table[by].unique()
    entries = {name: handle(style) for name, style in styles.items() if name in present}
    axes.legend(list(entries.values()), list(entries), handlelength=HANDLE)


def _contraction(table: pd.DataFrame) -> str:
    lines = _head(
        *("variant", "seeds", "log-norm below 0 (%)", "median", "largest"),
        *("certified rate", "largest state", "apart", "attention", "agreement"),
    )
    for variant, own in table.groupby("variant", sort=False):
        numbers = [_range(100 * own["share_negative"], 1), *(_range(own[name], 2) for name in ("median", "largest"))]
        numbers += [_range(own["certified"], 2), _range(own["largest_state"], 2), f"{own['apart'].max():.1e}"]
        numbers += [_range(own[name], 2) for name in ("attention", "agreement")]
        lines.append(f"| {str(variant) or 'regularised'} | {len(own)} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _gap(table: pd.DataFrame) -> str:
    lines = _head("agents", "expert (late)", "policy (not served, not completed, collisions)", *CHANGED)
    parts = gap_parts(table)
    sizes = table["scenario"].map(lambda address: parse(address).n_agents)
    for (n, variant), own in table.groupby([sizes, "variant"]):
        by = {name: _range(rows["episode_return"], 2) for name, rows in own.groupby("as")}
        late = 100 * own.loc[own["as"] == "expert", "solver_timeouts"].astype(float).median()
        lacks = parts[(parts["n_agents"] == n) & (parts["variant"] == variant)]
        missing = ", ".join(f"{lacks[name].median():.2f}" for name in PARTS)
        there = ", trained there" if variant == TRAINED_THERE else ""
        flown = f", flown {by[FLOWN]}" if FLOWN in by else ""
        cells = [
            f"{by['expert']} ({late:.0f} %){flown}",
            f"{by['policy']} ({missing})",
            *(by[name] for name in CHANGED),
        ]
        lines.append(f"| {n}{there} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _reassignment(table: pd.DataFrame) -> str:
    lines = _head(
        *("change", "method", "episodes", "unchanged", "at it", "1 s later", "3 s later", "6 s later"),
        *("shaken (%)", "new assignment (s)"),
    )
    for (scenario, method), every in table.groupby(["scenario", "method"], sort=False):
        own = every[every["undisturbed"].astype(bool)]  # a second change comes whatever an agent does
        by_seed = own.groupby("seed")
        shown = ("unchanged", *(f"excess_{second}" for second in ("0", "1", "3", "6")))
        cells = [_range(by_seed[name].mean(), 2) for name in shown]
        cells.append(_range(100 * by_seed["shaken"].mean(), 0))
        found = own.loc[own["shaken"].astype(bool), "seconds"]
        again = f"{found.median():.1f} (in {100 * found.notna().mean():.0f} %)" if found.notna().any() else "–"
        lines.append(f"| {parse(str(scenario)).variant} | {method} | {len(own)} | {' | '.join([*cells, again])} |")
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]


def _range(values: pd.Series, decimals: int) -> str:
    middle, low, high = (f"{value:.{decimals}f}" for value in (values.median(), values.min(), values.max()))
    return middle if low == high else f"{middle} [{low}, {high}]"
