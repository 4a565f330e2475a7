"""What is published of the studies of multi-resource allocation: tables, a page to read and a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmark.allocation import AFTER, GAP_EPISODES, RECOVERED, contraction, gap, reassignment
from benchmark.canvas import PAGE_WIDTH, panels_of, save, style
from benchmark.machine import one_thread
from benchmark.record import write_file
from benchmark.specs import RunSpec, Suite
from benchmark.statistics import probability_of_improvement
from benchmark.store import Store
from envs.errors import UsageError
from envs.resource_allocation import COLLISION, DONE, SERVED, parse

STUDIED = "allocation_10x2/radius-1/steady"  # whose policies are looked into, and carried elsewhere
CHANGING = ("jumps", "failures")
RANGE = ("pi", 100)  # of the seeds
Tables = dict[str, pd.DataFrame]


def run_studies(suite: Suite, store: Store, tell: Callable[[str], None]) -> Tables:
    """Carry out the studies on the policies of a suite; tables `returns`, `contraction`, `gap` and `reassignment`.

    Raises:
        UsageError: a run is missing.
    """
    specs = suite.runs()
    records = {spec.digest: store.load(spec) for spec in specs}
    for spec in specs:
        if records[spec.digest] is None:
            raise UsageError(f"{spec.label}: no run under {store.root}/; first: accord run {suite.name}")
    rows = {"returns": list[dict](), "contraction": list[dict](), "gap": list[dict](), "reassignment": list[dict]()}

    def keep(study: str, spec: RunSpec, found: Sequence[dict]) -> None:
        rows[study] += [_named(spec) | row for row in found]
        tell(f"{study}: {spec.label}")

    with one_thread():
        for spec in specs:
            if (record := records[spec.digest]) is not None:
                rows["returns"].append(_named(spec) | {"return": record.metrics.get("episode_return")})
            subject = spec.method == suite.subject
            if subject and spec.scenario == STUDIED:
                keep("contraction", spec, [contraction(spec, store)])
            if subject and not spec.variant and STUDIED in (spec.scenario, spec.trained_on):
                keep("gap", spec, gap(spec, store, spec.scenario))
            if parse_variant(spec.scenario) in CHANGING and spec.method != "random":
                keep("reassignment", spec, reassignment(spec, store))
    return {study: pd.DataFrame(found) for study, found in rows.items()}


def _named(spec: RunSpec) -> dict:
    return {"scenario": spec.scenario, "method": spec.method, "variant": spec.variant, "seed": spec.seed}


def parse_variant(address: str) -> str:
    """steady, jumps, discharging or failures."""
    return parse(address).variant


def write_studies(tables: Tables, subject: str, target: Path) -> list[Path]:
    """Write a CSV for each study, `studies.md` and the figure; return the files."""
    contents = {f"{study}.csv": table.to_csv(index=False) for study, table in tables.items()}
    contents["studies.md"] = markdown(tables, subject)
    for name, text in contents.items():
        write_file(target / name, text.encode())
    with style():
        drawn = save(draw_gap(tables["gap"]), target / "figures" / "gap")
    return [*(target / name for name in contents), *drawn]


def markdown(tables: Tables, subject: str) -> str:
    """The studies as tables to read: medians over seeds, and their range; `subject` is who others are compared with."""
    parts = [
        "# Inside multi-resource allocation",
        f"Medians over seeds with their range. Policies of `{STUDIED}` unless said.",
        "## Returns and their spread",
        f"Mean and standard deviation over seeds, and the probability that a seed of `{subject}` has a higher return "
        "than a seed of the method, with its 95 % interval.",
        _returns(tables["returns"], subject),
        "## Contraction",
        "Log-norm of the Jacobian of LGTC's states, all agents together, on states that trained policies visit; the "
        "certified rate holds wherever states stay within 1; apart: how far two trajectories from different states "
        "under the same inputs are from each other after an episode, as a share of the beginning, in the worst one.",
        _contraction(tables["contraction"]),
        "## Gap to the expert",
        f"Return in {GAP_EPISODES} episodes, the same for all columns of a row; in brackets what of the gap to the "
        "expert is demand that was not served, consumers that were not completed, and collisions. Clear: the policy's "
        "agents keep clear of each other as the expert's do. Flown: they are flown to the consumers that they head for "
        "as the expert flies, so that what is left is the assignment. Silent and connected: nobody hears anybody, "
        "everybody hears everybody.",
        _gap(tables["gap"]),
        "## After a change",
        "Regret of the consumers that agents head for: what the assignment costs beyond the best one at that moment, "
        "as a share of the episode's demand, at the first jump or failure of an episode. New assignment: seconds until "
        f"the regret is at most {RECOVERED} above that of before; in brackets the share of episodes in which it is "
        f"within {AFTER:g} s.",
        _reassignment(tables["reassignment"]),
    ]
    return "\n\n".join(parts) + "\n"


def gap_parts(table: pd.DataFrame) -> pd.DataFrame:
    """What the policy's return lacks to the expert's, in parts that add up to it; a row per scenario and seed."""
    n_agents = table["scenario"].map(lambda address: parse(address).n_agents)
    consumers = table["scenario"].map(lambda address: parse(address).consumers)
    parts = table.assign(
        n_agents=n_agents,
        served=SERVED * table["served"],
        completed=DONE * consumers * table["completed"],
        collisions=-COLLISION * n_agents * table["collisions"],
    )
    keys, names = ["scenario", "n_agents", "seed"], ["episode_return", "served", "completed", "collisions"]
    policy, expert = (parts[parts["as"] == who].set_index(keys)[names] for who in ("policy", "expert"))
    return (expert - policy).reset_index()


def draw_gap(table: pd.DataFrame) -> Figure:
    """Return against the number of agents, as it is and changed; and the parts of what it lacks."""
    shown = table.assign(agents=table["scenario"].map(lambda address: parse(address).n_agents))
    parts = gap_parts(table).melt(
        ["scenario", "n_agents", "seed"], ["served", "completed", "collisions"], var_name="part", value_name="lacks"
    )
    figure, panels = panels_of("", ["return", "what it lacks to the expert"], sharey=False, width=PAGE_WIDTH)
    sns.lineplot(
        shown, x="agents", y="episode_return", hue="as", style="as", markers=True, errorbar=RANGE, ax=panels[0]
    )
    sns.lineplot(parts, x="n_agents", y="lacks", hue="part", style="part", markers=True, errorbar=RANGE, ax=panels[1])
    for axes in panels:
        axes.set(xlabel="agents", ylabel="")
    panels[1].legend(title="")
    panels[0].legend(title="")
    return figure


def _returns(table: pd.DataFrame, subject: str) -> str:
    lines = [f"| scenario | method | seeds | return | spread | {subject} is better |", "|---|---|---|---|---|---|"]
    default = table[table["variant"] == ""]
    for scenario, group in default.groupby("scenario", sort=False):
        own = group.loc[group["method"] == subject, "return"].tolist()
        for method, values in group.groupby("method", sort=False)["return"]:
            chance = ""
            if own and method != subject and len(values) > 1:
                found = probability_of_improvement(own, values.tolist(), 0)
                interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
                chance = f"{found.value:.2f}{interval}"
            spread = f"{values.std():.2f}" if len(values) > 1 else ""
            lines.append(f"| `{scenario}` | {method} | {len(values)} | {values.mean():.2f} | {spread} | {chance} |")
    return "\n".join(lines)


def _contraction(table: pd.DataFrame) -> str:
    lines = [
        "| variant | seeds | log-norm below 0 (%) | median | largest | certified rate | apart |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant, own in table.groupby("variant", sort=False):
        numbers = [_range(100 * own["share_negative"], 1), *(_range(own[name], 2) for name in ("median", "largest"))]
        numbers += [_range(own["certified"], 2), f"{own['apart'].max():.1e}"]
        lines.append(f"| {str(variant) or 'regularised'} | {len(own)} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def _gap(table: pd.DataFrame) -> str:
    lines = [
        "| agents | expert | policy (not served, not completed, collisions) | clear | flown | silent | connected |",
        "|---|---|---|---|---|---|---|",
    ]
    lacks = gap_parts(table).groupby("n_agents").median(numeric_only=True)
    agents = table["scenario"].map(lambda address: parse(address).n_agents)
    for n, own in sorted(table.groupby(agents), key=lambda pair: int(pair[0])):
        by = {name: _range(rows["episode_return"], 2) for name, rows in own.groupby("as")}
        missing = ", ".join(f"{lacks.loc[n, name]:.2f}" for name in ("served", "completed", "collisions"))
        cells = [
            by["expert"],
            f"{by['policy']} ({missing})",
            *(by[x] for x in ("clear", "flown", "silent", "connected")),
        ]
        lines.append(f"| {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _reassignment(table: pd.DataFrame) -> str:
    lines = [
        "| change | method | regret before | at it | 1 s later | 3 s later | 6 s later | new assignment (s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (scenario, method), own in table.groupby(["scenario", "method"], sort=False):
        cells = [f"{own[f'regret_{second}'].mean():.2f}" for second in ("-0.5", "0", "1", "3", "6")]
        found = own["seconds"]
        again = "–" if found.isna().all() else f"{found.median():.1f}"
        cells.append(f"{again} ({100 * found.notna().mean():.0f} %)")
        lines.append(f"| {parse_variant(str(scenario))} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _range(values: pd.Series, decimals: int) -> str:
    middle, low, high = (f"{value:.{decimals}f}" for value in (values.median(), values.min(), values.max()))
    return middle if low == high else f"{middle} [{low}, {high}]"
