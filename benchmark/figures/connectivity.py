"""Figures of communication: disagreement and violation against connectivity and faults, and what talk costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from accord.benchmark.evaluation.context import VIOLATION_ALLOWED
from accord.benchmark.evaluation.trajectory import DAY
from accord.benchmark.figures.canvas import PAGE_WIDTH, label_of, legend_of, panels_of, set_log, set_wide
from accord.benchmark.figures.styles import BLUE, GREEN, ORANGE, PURPLE, SHAPES, SKY, VERMILION, Style, handle
from accord.benchmark.figures.sweeps import Traces, district_of, hour_of_day
from accord.benchmark.records.record import Record
from accord.envs.demand_response.scenario import DistrictScenario
from accord.envs.network.faults import Faults, parse_faults, split_faults

COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY)
METHOD = "consensus-gossip"
FEWEST = 3  # points or lines that are worth a panel
EVENTS = {"dead_serving", "late"}
CHANGE = "~"
RATES = {"loss": "Lost messages (share)", "delay": "Delay of messages (h)"}
PERCENT = 100.0
ERRORS, NOTHING = ("consensus_error", "consensus_error_bound"), 1e-5  # mean prices that are no difference
LEAST = 1.5  # percent that an axis shows
ACROSS = 3  # panels side by side


@dataclass(frozen=True)
class Cell:
    """Runs of gossip that differ in their seed alone.

    Attributes:
        district: Its address.
        agents: N.
        topology: Of the network, without its faults.
        gap: Spectral gap of the topology, 1 − σ.
        words: What is wrong with it, as in its address.
        rounds: K.
        mixing: What an agent does with what it hears.
        records: One per seed.
    """

    district: str
    agents: int
    topology: str
    gap: float
    words: tuple[str, ...]
    rounds: int
    mixing: str
    records: tuple[Record, ...]

    @property
    def faults(self) -> Faults:
        """What the words mean."""
        return parse_faults(self.words, self.topology)

    def median(self, metric: str) -> float | None:
        """Over seeds; None where a run does not have it."""
        values = [record.summary.get(metric) for record in self.records]
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        return median(numbers) if len(numbers) == len(values) else None


def cells_of(records: Sequence[Record]) -> list[Cell]:
    """Cells of gossip on districts, of those settings that most of them have but for rounds and mixing."""
    found: dict[tuple[str, int, str, str], list[tuple[Record, DistrictScenario]]] = {}
    for record in records:
        scenario = district_of(record.spec.scenario) if record.spec.method == METHOD else None
        if scenario is None or record.status != "done":
            continue
        dual = dict(record.spec.config["dual"])
        rounds, mixing = dual.pop("rounds"), dual.pop("mixing")
        key = record.spec.scenario, rounds, mixing, repr(sorted(dual.items()))
        found.setdefault(key, []).append((record, scenario))
    usual = Counter(settings for *_, settings in found).most_common(1)
    cells = []
    for (_, rounds, mixing, settings), pairs in sorted(found.items()):
        scenario = pairs[0][1]
        if settings == usual[0][0]:
            topology, words = split_faults(scenario.network_name)
            sound = scenario.network()
            runs = tuple(record for record, _ in pairs)
            place = f"{scenario.district_name}/{scenario.budget_name}"
            cells.append(Cell(place, scenario.n_agents, topology, sound.spectral_gap, words, rounds, mixing, runs))
    return cells


def draw_connectivity(records: Sequence[Record]) -> Figure | None:
    """Disagreement, violation and gap against the spectral gap, a line per number of rounds, with theory's bounds.

    Returns:
        None where no district was run on several topologies with several rounds.
    """
    places = _connected(cells_of(records))
    if not places:
        return None
    rounds = sorted({cell.rounds for cells in places.values() for cell in cells})
    looks = {k: Style(colour, SHAPES[i]) for i, (k, colour) in enumerate(zip(rounds, COLOURS, strict=False))}
    metrics = ("consensus_error", "violation", "optimality_gap")
    figure, rows = _by_district(places, metrics)
    lowest = min(cell.gap for cells in places.values() for cell in cells)
    for cells, panels in zip(places.values(), rows, strict=True):
        for axes, metric in zip(panels, metrics, strict=True):
            for k, look in looks.items():
                line = sorted((cell for cell in cells if cell.rounds == k), key=lambda cell: cell.gap)
                _line(axes, line, lambda cell: cell.gap, metric, look)
                _line(axes, line, lambda cell: cell.gap, f"{metric}_bound", look, hollow=True)
            axes.set_xlim(lowest / 2, 2)
            set_log(axes, "x")
            _scale(axes, metric)
            axes.set(xlabel="Spectral gap 1 − σ" if panels is rows[-1] else "", ylabel=_name(metric))
    entries = {f"K = {k}": handle(look) for k, look in looks.items()}
    entries["bound"] = handle(looks[rounds[0]], color="black", linestyle=":", markerfacecolor="white")
    legend_of(
        figure,
        entries,
        "Rounds of messages an hour; medians over seeds; disagreement below 1e-5 is not drawn; thin: what is allowed",
    )
    return figure


def draw_faults(records: Sequence[Record]) -> Figure | None:
    """Violation against the share of lost messages and against their delay, without and with the balanced form.

    Returns:
        None where neither was varied.
    """
    cells = [cell for cell in cells_of(records) if cell.rounds == 1]
    panels_to_draw = []
    for kind, label in RATES.items():
        for (district, topology), group in _grouped(cells, lambda cell: (cell.district, cell.topology)):
            line = [cell for cell in group if cell.faults.kinds <= {kind}]
            if len({getattr(cell.faults, kind) for cell in line}) >= FEWEST:
                panels_to_draw.append((f"{_spoken(district)}\n{topology}", kind, label, line))
    if not panels_to_draw:
        return None
    names = [name for name, *_ in panels_to_draw]
    height = 0.8 + 1.8 * -(-len(names) // ACROSS)
    figure, panels = panels_of("", names, width=PAGE_WIDTH, height=height, columns=ACROSS, sharex=False, sharey=False)
    looks = {"plain": Style(VERMILION, SHAPES[0]), "balanced": Style(BLUE, SHAPES[1])}
    for axes, (_, kind, label, line) in zip(panels, panels_to_draw, strict=True):
        across = partial(_rate, kind)
        for mixing, look in looks.items():
            chosen = [cell for cell in line if cell.mixing == mixing or not cell.faults.kinds]
            chosen = [cell for cell in chosen if cell.mixing in ("plain", mixing)]
            if any(cell.mixing == mixing and cell.faults.kinds for cell in chosen):
                chosen.sort(key=across)
                _line(axes, chosen, across, "violation", look)
        _scale(axes, "violation")
        axes.set(xlabel=label, ylabel=_name("violation"))
    legend_of(figure, {mixing: handle(look) for mixing, look in looks.items()}, "Exchanges; medians over seeds")
    return figure


def draw_cost(records: Sequence[Record]) -> Figure | None:
    """What a topology costs: violation and gap against messages of an agent and hour, a point per K."""
    places = _connected(cells_of(records))
    if not places:
        return None
    topologies = sorted({cell.topology for cells in places.values() for cell in cells})
    looks = {name: Style(COLOURS[i % len(COLOURS)], SHAPES[i]) for i, name in enumerate(topologies)}
    metrics = ("violation", "optimality_gap")
    figure, rows = _by_district(places, metrics)
    for cells, panels in zip(places.values(), rows, strict=True):
        for axes, metric in zip(panels, metrics, strict=True):
            for topology, look in looks.items():
                line = sorted((cell for cell in cells if cell.topology == topology), key=lambda cell: cell.rounds)
                _line(axes, line, lambda cell: cell.median("messages") or 0.0, metric, look)
            set_log(axes, "x")
            _scale(axes, metric)
            axes.set(xlabel="Messages per agent and hour" if panels is rows[-1] else "", ylabel=_name(metric))
    legend_of(figure, {name: handle(look) for name, look in looks.items()}, "Medians over seeds; a point per K")
    return figure


def draw_recovery(records: Sequence[Record], traces: Traces) -> Figure | None:
    """Excess of use so far over the worst budget, day by day, where agents fail, join or the budget changes.

    One network, one round, one seed; the hours of a failure or a change are the first.

    Returns:
        None where nothing of the kind was run, or its arrays are elsewhere.
    """
    cells = [cell for cell in cells_of(records) if cell.rounds == 1 and cell.mixing == "plain"]
    events = [cell for cell in cells if cell.faults.kinds & EVENTS or CHANGE in cell.district]
    lines = {}
    for cell in [*(c for c in cells if not c.words and CHANGE not in c.district), *events]:
        if not events or _where(cell) != _where(events[0]):
            continue
        spec = min((record.spec for record in cell.records), key=lambda spec: spec.seed)
        arrays, scenario = traces(spec), district_of(spec.scenario)
        if scenario is not None and "district_import_kwh" in arrays:
            lines[_event_of(cell)] = _excess_so_far(scenario, arrays["district_import_kwh"])
    if len(lines) < FEWEST:
        return None
    figure, (axes,) = panels_of(f"{_spoken(events[0].district)}\n{events[0].topology}", [""], height=2.8)
    looks = {name: Style(colour, shape) for name, colour, shape in zip(lines, COLOURS, SHAPES, strict=False)}
    for name, look in looks.items():
        days = 1 + np.arange(len(lines[name]))
        axes.plot(days, PERCENT * lines[name], color=look.colour, linestyle=look.linestyle)
    axes.axhline(PERCENT * VIOLATION_ALLOWED, color="black", linewidth=0.6)
    axes.set(xlabel="Day", ylabel="Use so far above\nthe worst budget (%)")
    set_wide(axes, "y", floor=0)
    legend_of(figure, {name: handle(look, marker="") for name, look in looks.items()}, "The thin line: what is allowed")
    return figure


def _by_district(places: Iterable[str], metrics: Sequence[str]) -> tuple[Figure, list[list[Axes]]]:
    """A row of panels per district, one for each metric."""
    across, names = len(metrics), [name for place in places for name in (_spoken(place), *[""] * (len(metrics) - 1))]
    height = 0.8 + 1.6 * len(names) // across
    figure, panels = panels_of("", names, width=PAGE_WIDTH, height=height, columns=across, sharex=False, sharey=False)
    return figure, [panels[i : i + across] for i in range(0, len(panels), across)]


def _spoken(district: str) -> str:
    return district.replace("/", ", ")


def _rate(kind: str, cell: Cell) -> float:
    return float(getattr(cell.faults, kind))


def _where(cell: Cell) -> tuple[str, str]:
    """District and budget without a change of it, and topology."""
    return cell.district.partition(CHANGE)[0], cell.topology


def _event_of(cell: Cell) -> str:
    words = [] if CHANGE not in cell.district else [f"budget {cell.district.partition(CHANGE)[2]}"]
    return ", ".join([*words, *cell.words]) or "sound"


def _excess_so_far(scenario: DistrictScenario, imports: np.ndarray) -> np.ndarray:
    """Largest of any budget at the end of each day, as a share of its limit, [days]."""
    hours, excess = hour_of_day(scenario, len(imports)), []
    for budget in scenario.budgets():
        counted = budget.hours.numpy()[hours]
        used = (counted * imports).cumsum() / np.maximum(counted.cumsum(), 1)
        excess.append(used[DAY - 1 :: DAY] / budget.limit - 1)
    return np.max(excess, axis=0)


def _connected(cells: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Plain gossip over sound networks, of districts with several topologies and numbers of rounds."""
    sound = [cell for cell in cells if not cell.faults.kinds and cell.mixing == "plain"]
    places = {}
    for (_, district), group in _grouped(sound, lambda cell: (cell.agents, cell.district)):
        if len({c.topology for c in group}) >= FEWEST and len({c.rounds for c in group}) > 1:
            places[district] = group
    return places


def _grouped(cells: Iterable[Cell], key: Callable[[Cell], Any]) -> list[tuple[Any, list[Cell]]]:
    return [(name, list(group)) for name, group in groupby(sorted(cells, key=key), key)]


def _line(
    axes: Axes,
    cells: Sequence[Cell],
    across: Callable[[Cell], float],
    metric: str,
    look: Style,
    *,
    hollow: bool = False,
) -> None:
    factor = 1.0 if metric in ERRORS else PERCENT
    points = [(across(cell), cell.median(metric)) for cell in cells]
    known = [(x, factor * y) for x, y in points if y is not None and (metric not in ERRORS or y > NOTHING)]
    if known:
        axes.plot(
            *zip(*known, strict=True),
            color=look.colour,
            linestyle=":" if hollow else look.linestyle,
            marker=look.shape.marker,
            markersize=3.5,
            markerfacecolor="white" if hollow else look.colour,
            markeredgewidth=0.8,
        )


def _scale(axes: Axes, metric: str) -> None:
    if metric == "consensus_error":
        set_log(axes, "y")
        return
    axes.update_datalim([(axes.get_xlim()[1], LEAST)])  # what is no difference shall not look like one
    axes.autoscale_view()
    set_wide(axes, "y", floor=0)
    if metric == "violation":
        axes.axhline(PERCENT * VIOLATION_ALLOWED, color="black", linewidth=0.6)


def _name(metric: str) -> str:
    return "Disagreement δ/√N\n(mean prices)" if metric == "consensus_error" else label_of(metric)
