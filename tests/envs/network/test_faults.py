"""The words for faults of a network."""

import pytest

from accord.envs.errors import UsageError
from accord.envs.network import FaultyNetwork
from accord.envs.network.faults import Faults, parse_faults, split_faults
from accord.envs.network.topologies import build_edges


def test_words_are_read() -> None:
    assert parse_faults(("loss-0.3", "delay-6", "cut"), "x") == Faults(loss=0.3, delay=6, cut=True)
    assert parse_faults(("liar_adds--0.005", "switching-small_world-4-0.1"), "x") == Faults(
        liar_adds=-0.005, switching="small_world-4-0.1"
    )
    assert split_faults("regular-4+loss-0.3+cut") == ("regular-4", ("loss-0.3", "cut"))
    assert split_faults("edges:a+b/c.txt+cut") == ("edges:a+b/c.txt", ("cut",))
    assert split_faults("edges:/runs/run+loss-0.3/a+delay-6.csv") == ("edges:/runs/run+loss-0.3/a+delay-6.csv", ())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lost-0.3", "network 'x': 'lost-0.3' is no fault; allowed: loss-P, one_way_loss-P, "),
        ("loss-1.5", "fault 'loss-1.5' needs a number from 0 to 1"),
        ("loss", "fault 'loss-' needs a number from 0 to 1"),
        ("delay-2.5", "fault 'delay-2.5' needs a whole number from 1 to 168"),
        ("cut-3", "fault 'cut-3' takes no number; allowed: cut"),
        ("loss-0.1+loss-0.2", "fault 'loss' is given twice"),
        ("switching", "fault 'switching' needs the name of a topology, like switching-star"),
        ("switching-edges:a.txt", "fault 'switching-edges:a.txt' needs the name of a topology"),
        ("switching-rings", "topology: 'rings' is unknown"),
        ("dead_idle-x", "fault 'dead_idle-x' needs numbers of agents, like dead_idle-2 or dead_idle-2_5"),
        ("dead_idle-7", "agent 7 is not there; allowed: 0 to 6"),
        ("dead_idle-2+late-2", "an agent fails in two ways"),
        ("dead_idle-2_2", "fault 'dead_idle-2_2' names an agent twice"),
        ("dead_idle-02", "fault 'dead_idle-02': '02' is written 2 in an address"),
        ("loss--0", "fault 'loss--0': '-0' is written 0 in an address"),
        ("switching-ring", "network 'ring': links switch to those that they are"),
    ],
)
def test_words_without_a_meaning_are_refused(words: str, said: str) -> None:
    with pytest.raises(UsageError, match="^" + said.replace("(", r"\(") if said.startswith("network") else said):
        FaultyNetwork(build_edges("ring", 7), 7, "ring", parse_faults(words.split("+"), "network 'x'"))
