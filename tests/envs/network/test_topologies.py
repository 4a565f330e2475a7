from pathlib import Path

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.envs.errors import UsageError
from accord.envs.network.topologies import TOPOLOGIES, build_edges, canonical_edges

REGULAR_3_OF_8 = [
    [0, 1],
    [0, 2],
    [0, 5],
    [1, 3],
    [1, 6],
    [2, 6],
    [2, 7],
    [3, 4],
    [3, 6],
    [4, 5],
    [4, 7],
    [5, 7],
]
ERDOS_RENYI_OF_6 = [[0, 1], [0, 2], [0, 5], [1, 2], [1, 3], [2, 3], [2, 4], [2, 5], [3, 4], [4, 5]]


def graph_of(edges: torch.Tensor, n_agents: int) -> nx.Graph:
    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(range(n_agents))
    graph.add_edges_from(edges.tolist())
    return graph


def degrees(name: str, n_agents: int) -> list[int]:
    return torch.bincount(build_edges(name, n_agents).flatten(), minlength=n_agents).tolist()


@pytest.mark.parametrize(
    ("name", "n_agents", "known"),
    [
        ("complete", 6, nx.complete_graph(6)),
        ("ring", 9, nx.cycle_graph(9)),
        ("star", 5, nx.star_graph(4)),
        ("path", 5, nx.path_graph(5)),
        ("grid", 12, nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4))),
        ("torus", 12, nx.convert_node_labels_to_integers(nx.grid_2d_graph(3, 4, periodic=True))),
        ("torus", 8, nx.convert_node_labels_to_integers(nx.grid_2d_graph(2, 4, periodic=True))),
        ("grid", 3, nx.path_graph(3)),
        ("torus", 3, nx.cycle_graph(3)),
        ("ring", 2, nx.path_graph(2)),
        ("regular-6", 7, nx.complete_graph(7)),
        ("small_world-4-0", 10, nx.circulant_graph(10, [1, 2])),
        ("erdos_renyi-1", 5, nx.complete_graph(5)),
    ],
)
def test_a_topology_has_the_edges_its_name_says(name: str, n_agents: int, known: nx.Graph) -> None:
    assert build_edges(name, n_agents).tolist() == sorted(sorted(edge) for edge in known.edges())


def test_two_groups_is_a_ring_and_a_triangle_joined_by_a_bridge() -> None:
    edges = build_edges("two_groups", 7).tolist()
    assert edges == [[0, 1], [0, 3], [1, 2], [2, 3], [3, 4], [4, 5], [4, 6], [5, 6]]


@pytest.mark.parametrize("name", ["complete", "ring", "star", "path", "grid", "torus", "erdos_renyi-0.5"])
def test_a_lone_agent_has_no_edges(name: str) -> None:
    edges = build_edges(name, 1)
    assert edges.shape == (0, 2)
    assert edges.dtype == torch.long


@given(
    name=st.sampled_from(
        [
            "complete",
            "ring",
            "star",
            "path",
            "grid",
            "torus",
            "regular-2",
            "regular-4",
            "erdos_renyi-0.3",
            "small_world-4-0.2",
        ]
    ),
    n_agents=st.sampled_from([6, 8, 9, 20, 49, 100]),
)
@settings(deadline=None, max_examples=40)
def test_every_graph_is_connected_sorted_and_each_time_the_same(name: str, n_agents: int) -> None:
    edges = build_edges(name, n_agents)
    assert edges.dtype == torch.long
    assert torch.equal(edges, build_edges(name, n_agents))
    assert nx.is_connected(graph_of(edges, n_agents))
    assert (edges[:, 0] < edges[:, 1]).all()
    assert edges.tolist() == sorted(edges.tolist())
    assert len(set(map(tuple, edges.tolist()))) == len(edges)


@given(n_agents=st.integers(3, 30), degree=st.integers(2, 29))
@settings(deadline=None, max_examples=150)
def test_every_agent_of_a_regular_graph_has_the_degree_named(n_agents: int, degree: int) -> None:
    if degree >= n_agents or degree * n_agents % 2:
        with pytest.raises(UsageError, match=f"regular-{degree}"):
            build_edges(f"regular-{degree}", n_agents)
    else:
        assert degrees(f"regular-{degree}", n_agents) == [degree] * n_agents


def test_a_large_regular_graph_has_the_degree_named() -> None:
    assert set(degrees("regular-4", 20_000)) == {4}


def test_random_graphs_differ_by_name_and_size() -> None:
    assert not torch.equal(build_edges("small_world-4-0.5", 30), build_edges("small_world-4-0.6", 30))
    assert build_edges("regular-4", 30)[:40].tolist() != build_edges("regular-4", 31)[:40].tolist()


def test_a_random_graph_keeps_its_meaning_from_release_to_release() -> None:
    assert build_edges("regular-3", 8).tolist() == REGULAR_3_OF_8
    assert build_edges("erdos_renyi-0.5", 6).tolist() == ERDOS_RENYI_OF_6


def test_a_sparse_draw_is_repeated_until_it_is_connected() -> None:
    assert nx.is_connected(graph_of(build_edges("erdos_renyi-0.08", 40), 40))


def test_an_edge_list_is_read_with_commas_blanks_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "links.csv"
    file.write_text("# feeder A\n2, 1\n\n0 1  # the tie\n2\t3\n")
    assert build_edges(f"edges:{file}", 4).tolist() == [[0, 1], [1, 2], [2, 3]]


def test_an_empty_edge_list_serves_a_lone_agent(tmp_path: Path) -> None:
    file = tmp_path / "links.csv"
    file.write_text("# nobody to talk to\n")
    assert build_edges(f"edges:{file}", 1).shape == (0, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n1,1\n", r"links\.csv:2: 1,1 is a self-loop"),
        ("0,1\n1,4\n", r"links\.csv:2: node id 4 is out of range; the task has 4 agents"),
        ("0,1\nsource,target\n", r"links\.csv:2: 'source,target' is no edge"),
        ("0,1\n-1,2\n", r"links\.csv:2: '-1,2' is no edge"),
        ("0,1,2,3\n", r"links\.csv:1: '0,1,2,3' is no edge"),
        ("0,1\n1,2\n1 0\n", r"links\.csv:3: edge 0-1 repeats line 1"),
        ("0,1\n1,2\n", r"no edge for 1 of the task's 4 agents, the first is 3"),
        ("0,1\n2,3\n", r"4 agents is in 2 components"),
    ],
)
def test_a_wrong_edge_list_is_an_error_that_names_the_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "links.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=message):
        build_edges(f"edges:{file}", 4)


def test_a_missing_or_unreadable_edge_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.csv \(No such file"):
        build_edges(f"edges:{tmp_path / 'nowhere.csv'}", 4)
    (tmp_path / "blob").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"blob \(not UTF-8 text"):
        build_edges(f"edges:{tmp_path / 'blob'}", 4)


@pytest.mark.parametrize(
    ("name", "n_agents", "message"),
    [
        ("hexagon", 6, "'hexagon' is unknown; allowed: " + ", ".join(TOPOLOGIES)),
        ("ring-3", 6, "'ring-3' is unknown"),
        ("", 6, "'' is unknown"),
        ("ring", 0, "n_agents: 0 is too few"),
        ("two_groups", 8, "joins exactly 7 agents and the task has 8"),
        ("grid", 13, "'grid' needs rows x columns agents and 13 is prime"),
        ("torus", 5, "'torus' needs rows x columns agents and 5 is prime"),
        ("regular-4", 4, "'regular-4' are wrong; allowed: D below the number of agents, 4"),
        ("regular-4", 1, "D below the number of agents, 1"),
        ("regular-3", 7, "an even D, since the number of agents, 7, is odd"),
        ("regular-0", 7, "an integer D of 1 or more"),
        ("regular", 7, "an integer D of 1 or more"),
        ("regular-2.5", 7, "an integer D of 1 or more"),
        ("regular-4-4", 7, "an integer D of 1 or more"),
        ("regular-1", 6, "no connected graph in 20 draws"),
        ("erdos_renyi", 7, "0 <= P <= 1"),
        ("erdos_renyi-1.5", 7, "0 <= P <= 1"),
        ("erdos_renyi-0.001", 50, "no connected graph in 20 draws"),
        ("small_world-4", 7, "an even K of 2 or more and 0 <= P <= 1"),
        ("small_world-3-0.1", 7, "an even K of 2 or more"),
        ("small_world-0-0.1", 7, "an even K of 2 or more"),
        ("small_world-8-0.1", 7, "K below the number of agents, 7"),
    ],
)
def test_a_wrong_topology_is_an_error_that_says_what_is_allowed(name: str, n_agents: int, message: str) -> None:
    with pytest.raises(UsageError) as error:
        build_edges(name, n_agents)
    assert message in str(error.value)
    assert "allowed" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[0, 1], [1, 1], [1, 2]], "links: edge 1-1 is a self-loop"),
        ([[0, 1], [1, 3]], "links: edge 1-3 is out of range; allowed: node ids 0 to 2"),
        ([[0, 1], [-1, 2]], "links: edge -1-2 is out of range"),
        ([[0, 1], [1, 2], [1, 0]], "links: edge 0-1 is given twice"),
        ([[0, 1]], "links: the graph over 3 agents is in 2 components"),
        ([], "links: the graph over 3 agents is in 3 components"),
        ([[0, 1, 2]], r"shape (1, 3); allowed: integers [E, 2]"),
        ([[0.0, 1.0]], "edges are torch.float32"),
    ],
)
def test_wrong_edges_are_an_error(edges: list[list[float]], message: str) -> None:
    with pytest.raises(UsageError) as error:
        canonical_edges(torch.tensor(edges), 3, "links")
    assert message in str(error.value)
