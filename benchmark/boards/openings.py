"""What stands above and below a table: the optimum, known returns, where policies come from, runs that went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accord.benchmark.boards.networks import ALL, Place
from accord.benchmark.figures.sweeps import Contexts
from accord.benchmark.records.record import Record
from accord.envs.catalogue import is_episodic, resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Episodes, Hours

MOST_OF_ERROR = 200  # characters


def opening(place: Place, records: Sequence[Record], contexts: Contexts | None) -> str:
    """What holds for every row of a table: the linear program's answer or known returns first.

    Args:
        place: Its scenarios, for which that is the same.
        records: Their runs.
        contexts: What a scenario's runs are compared with; gives the smallest feasible level.
    """
    address = next(iter(place.networks))
    if is_episodic(address):
        return _known_returns(address)
    words = [_optimum(address, records, contexts)]
    sources = sorted({record.spec.trained_on for record in records if record.spec.trained_on})
    words += [f"Policies were trained on `{source}`." for source in sources]
    if _in_sample(address):
        words.append("In sample: measured on hours that training may use.")
    if place.several:
        networks = ", ".join(place.networks.values())
        words.append(f"Networks: {networks}. A row of {ALL}, or of several, had the same results on each.")
    return " ".join(words)


def faults(records: Sequence[Record]) -> tuple[str, ...]:
    """One line for each run that did not end well, in the order of the records."""
    bad = [record for record in records if record.status != "done"]
    return tuple(f"{record.spec.label}: {record.status}: {record.error[:MOST_OF_ERROR]}" for record in bad)


def _optimum(address: str, records: Sequence[Record], contexts: Contexts | None) -> str:
    def recorded(name: str) -> Any:
        return next((r.metrics[name] for r in records if r.metrics.get(name) is not None), None)

    oracle = recorded("oracle")
    if oracle == "feasible":
        gap = recorded("oracle_gap")
        known = "" if gap is None else f" or up to {100 * gap:.2f} % more: it was solved in parts"
        return f"LP: feasible, optimum {recorded('oracle_objective'):.3f} $/h{known}."
    if oracle == "infeasible":
        context = None if contexts is None else contexts(address)
        smallest = recorded("smallest_level") if context is None else context.smallest_level
        level = f"; the smallest level that can be met is {smallest:.3f} of the peak" if smallest is not None else ""
        return f"LP: infeasible, no controller can meet the budgets{level}."
    return "LP: none for this scenario."


def _known_returns(address: str) -> str:
    try:
        protocol = resolve(address).protocol
    except UsageError:  # of a version that knows other scenarios
        return "Return: mean over episodes, summed over agents."
    assert isinstance(protocol, Episodes)
    known = ", ".join(f"{name} {value:.4g}" for name, value in protocol.references.items())
    text = f"Return: mean over {protocol.count} episodes, summed over agents."
    return f"{text} Known: {known}." if known else text


def _in_sample(address: str) -> bool:
    try:
        protocol = resolve(address).protocol
    except UsageError:  # its files are elsewhere
        return False
    return isinstance(protocol, Hours) and protocol.in_sample
