"""Gap to the optimum against violation: what a suite with budgets comes to, in one figure of a page's width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from statistics import median
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from accord.baselines.registry import REFERENCES
from accord.benchmark.evaluation.context import VIOLATION_ALLOWED
from accord.benchmark.figures.canvas import PAGE_WIDTH, factor_of, label_of, legend_of, panels_of, set_wide
from accord.benchmark.figures.styles import (
    BLACK,
    GREY,
    SHAPES,
    Line,
    Style,
    choose,
    handle,
    is_own,
    left_out,
    styles_of,
)
from accord.benchmark.figures.sweeps import NETWORK, VARIANT, district_of, preferred
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups
from accord.benchmark.statistics import Estimate, estimate
from accord.envs.demand_response.budgets import parse_budget

MOST_PANELS = 6
GAP, VIOLATION = "optimality_gap", "violation"
HOLLOW = "white"
OPTIMUM: dict[str, Any] = {"color": BLACK, "linewidth": 0.7}
ALLOWED: dict[str, Any] = {**OPTIMUM, "linestyle": (0, (4, 2))}


@dataclass(frozen=True)
class Point:
    """A method in a scenario.

    Attributes:
        gap: To the optimum, as a share of it: the median over seeds and its interval, as in the leaderboard.
        violation: Largest relative excess of a budget, likewise.
        feasible: Share of the runs that are.
        variant: Of the method.
    """

    gap: Estimate
    violation: Estimate
    feasible: float
    variant: str = ""


Points = Mapping[str, Mapping[str, Point]]  # by scenario and method


def draw_gap_violation(records: Sequence[Record]) -> Figure | None:
    """A panel per scenario, a point per method with the intervals of both; filled where every run is feasible.

    A method is in its default variant; where it has none in `VARIANT`, or else in the first of the alphabet. A method
    of which nothing was measured has no point. Methods are chosen by `choose`, the same ones for all panels, see
    `best_first`; scenarios by `scenarios_shown`.

    Returns:
        None where no run has both a gap and a violation.
    """
    points = points_of(records)
    shown = scenarios_shown(points)
    if not shown:
        return None
    every = [Line(method) for method in best_first({scenario: points[scenario] for scenario in shown})]
    lines = choose(every)
    looks = styles_of(lines)
    styles = {line.method: looks[line] for line in lines}
    across = len(shown) if len(shown) <= 3 else 2 if len(shown) == 4 else 3
    notes = (left_out(lines, every), _variants(points, shown), _unseen(shown, points))
    figure, panels = panels_of(
        "Gap to the optimum against violation: medians over seeds and their intervals",
        [_broken(scenario) for scenario in shown],
        width=PAGE_WIDTH,
        height=1.1 + 2.1 * -(-len(shown) // across),
        columns=across,
    )
    for scenario, axes in zip(shown, panels, strict=True):
        _plot(axes, points[scenario], styles)
    set_wide(panels[0], "x")  # which the others share
    set_wide(panels[0], "y", linear=0.3)
    for place, axes in enumerate(panels):
        if place >= len(panels) - across:  # no panel stands under it
            axes.set_xlabel(label_of(VIOLATION))
        if place % across == 0:
            axes.set_ylabel(label_of(GAP))
    legend_of(figure, _entries(styles), " ".join(filter(None, notes)))
    return figure


def points_of(records: Sequence[Record]) -> Points:
    """The methods of every scenario that have both numbers; references, which have none or the optimum's, left out."""
    found: dict[str, dict[str, dict[str, Point]]] = {}
    for (_, scenario, method, variant, setup), group in groups(records).items():
        if method in REFERENCES:
            continue
        gap, violation = (estimate([_number(record, name) for record in group]) for name in (GAP, VIOLATION))
        if gap.value is None or violation.value is None:
            continue
        feasible = sum(record.metrics.get("feasible") is True for record in group) / len(group)
        variants = found.setdefault(scenario, {}).setdefault(method, {})
        if not setup or variant not in variants:  # the set-up without a word is that of most runs
            variants[variant] = Point(gap, violation, feasible, variant)
    return {
        scenario: {
            method: variants["" if "" in variants else preferred(VARIANT, set(variants))]
            for method, variants in methods.items()
        }
        for scenario, methods in sorted(found.items())
    }


def scenarios_shown(points: Points) -> list[str]:
    """All scenarios, or of more than six those that a figure shows, in the order of their addresses.

    Where a user's own method ran, only scenarios with one. Of each district and kind of budget one network, as in the
    figures over time; of these in turn the tightest, then the next, until there are six.
    """
    if len(points) <= MOST_PANELS:
        return sorted(points)
    own = [scenario for scenario, methods in points.items() if any(map(is_own, methods))]
    kinds: dict[tuple[str, ...], list[tuple[str, float, str]]] = {}
    for scenario in own or points:
        district = district_of(scenario)
        if district is None:
            kinds.setdefault((scenario,), []).append(("", 0.0, scenario))
        else:
            place = (district.network_name, district.level, scenario)
            kinds.setdefault((district.district_name, parse_budget(district.budget_name).kind), []).append(place)
    turns = []
    for _, places in sorted(kinds.items()):
        network = preferred(NETWORK, {name for name, _, _ in places})
        turns.append([scenario for name, _, scenario in sorted(places) if name == network])
    ordered = [scenario for turn in zip_longest(*turns) for scenario in turn if scenario is not None]
    return sorted(ordered[:MOST_PANELS])


def best_first(points: Points) -> list[str]:
    """Methods by their shares of feasible runs, summed over scenarios; then by how far they are from feasible and best.

    How far: the lowest median over scenarios of the violation, if it is more than is allowed, then of the gap.
    """
    methods = sorted(set(chain.from_iterable(points.values())))
    own = {method: [found[method] for found in points.values() if method in found] for method in methods}

    def standing(method: str) -> tuple[float, float, float]:
        over = median(max(point.violation.value or 0.0, VIOLATION_ALLOWED) for point in own[method])
        gap = median(point.gap.value for point in own[method] if point.gap.value is not None)
        return -sum(point.feasible for point in own[method]), over, gap

    return sorted(methods, key=standing)


def _plot(axes: Axes, points: Mapping[str, Point], styles: Mapping[str, Style]) -> None:
    axes.axvline(factor_of(VIOLATION) * VIOLATION_ALLOWED, **ALLOWED, zorder=1)
    axes.axhline(0, **OPTIMUM, zorder=1)
    for place, (method, style) in enumerate(styles.items()):  # the first on top
        if method not in points:
            continue
        point = points[method]
        violation, gap = point.violation.value, point.gap.value
        assert violation is not None
        assert gap is not None
        filled = point.feasible == 1
        axes.errorbar(
            factor_of(VIOLATION) * violation,
            factor_of(GAP) * gap,
            xerr=_ends(point.violation, factor_of(VIOLATION)),
            yerr=_ends(point.gap, factor_of(GAP)),
            color=style.colour,
            marker=style.shape.marker,
            markersize=4,
            markerfacecolor=style.colour if filled else HOLLOW,
            markeredgewidth=0.9,
            elinewidth=0.8,
            zorder=3 - 0.1 * place,
        )


def _ends(found: Estimate, factor: float) -> list[list[float]] | None:
    """Lengths of an error bar below and above its point; None where no interval is claimed."""
    if found.value is None or found.low is None or found.high is None:
        return None
    return [[factor * (found.value - found.low)], [factor * (found.high - found.value)]]


def _entries(styles: Mapping[str, Style]) -> dict[str, Artist]:
    points = {"linestyle": "", "markersize": 4}
    entries: dict[str, Artist] = {method: handle(style, **points) for method, style in styles.items()}
    plain = Style(GREY, SHAPES[0])
    entries["every run feasible"] = handle(plain, **points)
    entries["not every run feasible"] = handle(plain, **points, markerfacecolor=HOLLOW)
    entries["optimum"] = Line2D([], [], **OPTIMUM)
    entries[f"{VIOLATION_ALLOWED:.0%} allowed".replace("%", " %")] = Line2D([], [], **ALLOWED)
    return entries


def _unseen(shown: Sequence[str], points: Points) -> str:
    if len(shown) == len(points):
        return ""
    return f"{len(shown)} of {len(points)} scenarios: one network per district, the tightest budgets."


def _variants(points: Points, shown: Sequence[str]) -> str:
    names = {point.variant for scenario in shown for point in points[scenario].values()} - {""}
    return f"Variant of methods without a default: {', '.join(sorted(names))}." if names else ""


def _broken(address: str) -> str:
    """An address in two lines, which fit above a panel."""
    first, slash, last = address.rpartition("/")
    return f"{first}{slash}\n{last}" if first else last


def _number(record: Record, metric: str) -> float | None:
    value = record.metrics.get(metric)
    return None if value is None or isinstance(value, str) else float(value)
