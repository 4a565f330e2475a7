from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.records import FEASIBLE, record

from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.boards.networks import places, shared_rows
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import groups

NETWORKS = ("complete", "ring", "star")
RESULTS = Path(__file__).parents[3] / "results"


def runs(network: str, objectives: Sequence[float], **metrics: float) -> list[Record]:
    address = f"paper_seven/{network}/average-0.27"
    return [record(seed=n, scenario=address, objective=x, **FEASIBLE, **metrics) for n, x in enumerate(objectives)]


def cells(records: list[Record]) -> dict[str, list[str]]:
    """Networks of each method's rows, as tables name them."""
    found = groups(records)
    (place,) = places(key[1] for key in found)
    out: dict[str, list[str]] = {}
    for row in shared_rows(found, place):
        out.setdefault(row.key[2], []).append(row.named(place))
    return out


def test_addresses_that_differ_in_the_network_alone_are_one_place() -> None:
    addresses = [
        *("paper_seven/ring/average-0.3", "paper_seven/star/average-0.27", "paper_seven/ring/average-0.27"),
        *("homes_17/ring/average-0.27", "games/two_step", "allocation_10x2/radius-1/steady"),
        *("allocation_10x2/radius-0.5/steady", "paper_seven/ring/average-0.27~0.3"),
    ]
    found = {place.title: list(place.networks.values()) for place in places(addresses)}
    assert found.pop("paper_seven/*/average-0.27") == ["ring", "star"]
    assert set(found) == {*addresses} - {"paper_seven/star/average-0.27", "paper_seven/ring/average-0.27"}


def test_a_method_that_gave_the_same_on_every_network_is_one_row() -> None:
    everywhere = [one for network in NETWORKS for one in runs(network, [3.0, 3.5], delay=1.0)]
    assert cells(everywhere) == {"consensus-gossip": ["all"]}


@pytest.mark.parametrize(
    "changed", [{"objective": 3.6}, {"delay": 2.0}, {"messages": 2.0}, {"own_metric": 1.0}], ids=str
)
def test_one_number_of_one_seed_parts_a_network_from_the_others(changed: dict[str, float]) -> None:
    everywhere = [one for network in NETWORKS for one in runs(network, [3.0, 3.5], delay=1.0)]
    last = everywhere[-1]
    everywhere[-1] = last.model_copy(update={"metrics": last.metrics | changed})
    assert cells(everywhere) == {"consensus-gossip": ["complete, ring", "star"]}


def test_how_a_run_ended_and_which_seeds_ran_part_networks_too() -> None:
    everywhere = [one for network in NETWORKS for one in runs(network, [3.0, 3.5])]
    ended = [*everywhere[:-1], everywhere[-1].model_copy(update={"status": "out of time"})]
    assert cells(ended) == {"consensus-gossip": ["complete, ring", "star"]}
    assert cells(everywhere[:-1]) == {"consensus-gossip": ["complete, ring", "star"]}


def test_what_a_clock_measured_does_not_part_them_and_is_the_median_over_networks() -> None:
    times = {"complete": 20.0, "ring": 10.0, "star": 90.0}
    found = groups([one for network in NETWORKS for one in runs(network, [3.0], act_microseconds=times[network])])
    (place,) = places(key[1] for key in found)
    (row,) = shared_rows(found, place)
    assert row.records[0].metrics["act_microseconds"] == 20.0
    assert row.records[0].metrics["objective"] == 3.0
    assert len(row.addresses) == 3


@pytest.mark.parametrize("suite", ["paper", "hourly"])
def test_published_methods_that_hear_nobody_or_everybody_are_the_same_on_every_network(suite: str) -> None:
    found = groups(read_runs(RESULTS / suite / "runs.parquet"))
    shared = {}
    for place in places(key[1] for key in found):
        assert place.several
        for row in shared_rows(found, place):
            shared.setdefault(row.key[2], set()).add(row.named(place) == "all")
    for method in ("consensus-independent", "consensus-broadcast", "random", "serve_now", "oracle"):
        assert shared[method] == {True}
    for method in ("consensus-gossip", "consensus-primal_dual"):
        assert shared[method] == {False}
