"""Files of edges as people and graph tools write them."""

from pathlib import Path

import networkx as nx
import pytest

from accord.envs.errors import UsageError
from accord.envs.network.edge_list import read_edges

RING = {(0, 1), (1, 2), (2, 3), (0, 3)}


def read(folder: Path, text: str) -> set[tuple[int, ...]]:
    file = folder / "links.csv"
    file.write_text(text)
    return {tuple(edge) for edge in read_edges(file, 4).tolist()}


@pytest.mark.parametrize(
    "text",
    [
        "0 1\n1 2\n2 3\n0 3\n",
        "# a ring\n0,1\n2,1 # backwards\n\n2,3\n3,0\n",
        "% sym unweighted\n0\t1\n1\t2\n2\t3\n0\t3\n",
        "0;1;0.5\n1;2;1\n2;3;1e-3\n0;3;2.0\n",
        "source,target\n0,1\n1,2\n2,3\n0,3\n",
        "Source,Target,Type,Id,Label,Weight\n" + "".join(f"{a},{b},Undirected,,,1.0\n" for a, b in RING),
        "weight,from,to\n" + "".join(f"0.5,{a},{b}\n" for a, b in RING),
        '"u","v"\n' + "".join(f'"{a}","{b}"\n' for a, b in RING),
    ],
)
def test_what_tools_write_is_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == RING


@pytest.mark.parametrize("delimiter", [" ", ",", "\t"])
@pytest.mark.parametrize("data", [True, False, ["weight"]])
def test_what_networkx_writes_is_read(tmp_path: Path, delimiter: str, data: bool | list[str]) -> None:
    graph = nx.Graph(RING)
    nx.set_edge_attributes(graph, 0.25, "weight")
    nx.write_edgelist(graph, tmp_path / "ring", delimiter=delimiter, data=data)
    assert {tuple(edge) for edge in read_edges(tmp_path / "ring", 4).tolist()} == RING


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1,0\n", "links.csv:1: the weight of '0,1,0' is '0'; allowed: numbers above 0, no link without"),
        ("0,1,-1\n", "the weight of '0,1,-1' is '-1'"),
        ("0,1,near\n", "the weight of '0,1,near' is 'near'"),
        ("0,1,1.2.3\n", "the weight of '0,1,1.2.3' is '1.2.3'"),
        ("0,1,1e999\n", "the weight of '0,1,1e999' is '1e999'"),
        ("0," + "9" * 5000, "links.csv:1: .* is no edge"),
        ('0,"1\n', "links.csv:1: '0,\"1' is no edge"),
        ("0,1,2,3\n", "links.csv:1: '0,1,2,3' is no edge; allowed: two node ids"),
        ("0\n", "links.csv:1: '0' is no edge"),
        ("left,right\n0,1\n", "links.csv:1: 'left,right' is no edge; .* a header source,target"),
        ("source,target\n0\n", "links.csv:2: '0' is no edge"),
        ("source,target\nsource,target\n", "links.csv:2: 'source,target' is no edge"),
    ],
)
def test_lines_that_are_no_edge_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)


def test_lists_of_neighbours_are_no_lists_of_edges(tmp_path: Path) -> None:
    nx.write_adjlist(nx.Graph(RING), tmp_path / "links")
    with pytest.raises(UsageError, match="is no edge"):
        read_edges(tmp_path / "links", 4)


def test_a_device_is_no_file(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path, tmp_path / ("a" * 5000)):
        with pytest.raises(UsageError, match="cannot read edge list"):
            read_edges(path, 4)
