from pathlib import Path

import pytest
from helpers.records import FEASIBLE, POSTPONES, record, seeds

from accord.benchmark.boards.cells import Grid
from accord.benchmark.boards.latex import latex
from accord.benchmark.boards.leaderboard import leaderboard, read_runs
from accord.benchmark.boards.render import EVERY_SEED, markdown
from accord.benchmark.boards.tables import NOT_TOLD, Layout, Table, lay_out
from accord.benchmark.records.record import Record

FIVE = [3.0, 3.1, 3.2, 3.3, 3.4]
HOURLY = Path(__file__).parents[3] / "results" / "hourly" / "runs.parquet"


def layout(records: list[Record]) -> Layout:
    return lay_out(records, leaderboard(records))


def table_of(records: list[Record]) -> Table:
    (table,) = layout(records).tables
    return table


def column(grid: Grid, heading: str) -> list[str]:
    """A column's cells as Markdown prints them."""
    index = [one.name for one in grid.headings].index(heading)
    cells = [row.cells[index] for row in grid.rows]
    return [" ".join([", ".join(cell.values), *cell.notes]) for cell in cells]


def styles(records: list[Record]) -> dict[str, str]:
    grid = table_of(records).grid
    return dict(zip(column(grid, "method"), (row.style for row in grid.rows), strict=True))


def gaps(values: list[float], name: str = "optimality_gap") -> list[Record]:
    return [record(seed=seed, objective=3.0, **FEASIBLE, **{name: value}) for seed, value in enumerate(values)]


def test_every_row_that_cannot_be_told_from_the_best_is_marked() -> None:
    runs = [
        *seeds(FIVE, "mappo-augmented"),
        *seeds([value + 0.05 for value in FIVE], "consensus-gossip"),
        *seeds([value + 9.0 for value in FIVE], "qmix-lagrangian"),
        *seeds([value + 9.0 for value in FIVE[:2]], "vdn-lagrangian"),
        record("rule_based", objective=3.4, **FEASIBLE),
        record("serve_now", objective=3.5, **FEASIBLE),
        record("lookahead", objective=2.0, **FEASIBLE),
        record("oracle", objective=2.0, **FEASIBLE),
    ]
    assert styles(runs) == {
        "mappo-augmented": "best",
        "consensus-gossip": "best",
        "qmix-lagrangian": "plain",
        "vdn-lagrangian": "best",  # two seeds tell nothing
        "rule_based": "best",  # within the five seeds
        "serve_now": "plain",
        "lookahead": "plain",
        "oracle": "plain",
    }
    assert NOT_TOLD not in table_of(runs).opening


def test_a_row_with_an_infeasible_seed_or_an_impractical_delay_is_not_marked() -> None:
    runs = [
        *seeds(FIVE, "mappo-augmented"),
        *seeds(FIVE[:4]),
        record(seed=4, objective=1.0, **POSTPONES),
        *seeds(FIVE, "consensus-broadcast", delay=25.0),
    ]
    assert styles(runs) == {
        "mappo-augmented": "best",
        "consensus-gossip": "plain",
        "consensus-broadcast": "plain",
    }


def test_a_table_says_where_three_seeds_tell_nothing() -> None:
    runs = [*seeds([3.0, 3.0, 3.0], "mappo-augmented"), *seeds([9.0, 9.0, 9.0])]
    assert set(styles(runs).values()) == {"best"}
    assert table_of(runs).opening.endswith(NOT_TOLD)
    assert NOT_TOLD not in table_of(runs[:3]).opening


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.071, 0.066, 0.077, 0.07, 0.071], "7.1 [6.6, 7.7] (worst: seed 2)"),
        ([0.0, 0.05, 0.05, 0.0, 0.0], "0.0 [0.0, 5.0] (worst: seeds 1, 2)"),
        ([0.0, 0.0, 0.0, 0.0, 0.0], "0.0"),
        ([0.01, 0.02, 0.03], "1.0, 2.0, 3.0"),
        # Of ten, the second lowest and the second highest.
        ([0.1, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09], "5.5 [2.0, 9.0] (worst: 10.0, seed 0)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("heading", ["gap", "violation"])
def test_the_worst_seed_is_named_beside_the_middle(values: list[float], said: str, heading: str) -> None:
    name = {"gap": "optimality_gap", "violation": "violation"}[heading]
    assert column(table_of(gaps(values, name)).grid, heading) == [said]


def test_every_seed_is_shown_up_to_ten() -> None:
    runs = [
        record(seed=seed, objective=3.0, optimality_gap=seed / 100, delay=1.0, **(FEASIBLE if seed else POSTPONES))
        for seed in range(5)
    ]
    grid = table_of([*runs, *seeds(FIVE[:3], "mappo"), record("rule_based", objective=3.0, **FEASIBLE)]).seeds
    assert grid is not None
    assert [heading.name for heading in grid.headings] == ["method", "variant", "seeds", "gap", "delay", "verdict"]
    assert [column(grid, name) for name in ("method", "seeds", "gap", "delay", "verdict")] == [
        ["consensus-gossip"],
        ["0 to 4"],
        ["0.0, 1.0, 2.0, 3.0, 4.0"],
        ["1.0"],
        ["postpones, feasible, feasible, feasible, feasible"],
    ]
    assert table_of(gaps([0.1] * 11)).seeds is None


def test_seeds_that_the_table_holds_already_are_shown_again_where_they_ended_otherwise() -> None:
    assert table_of(seeds(FIVE[:3])).seeds is None
    mixed = [*seeds(FIVE[:2]), record(seed=7, status="failed", n_agents=7)]
    grid = table_of(mixed).seeds
    assert grid is not None
    assert column(grid, "seeds") == ["0, 1, 7"]
    assert column(grid, "verdict") == ["feasible, feasible, failed"]


def test_steps_are_shown_where_some_method_learns() -> None:
    runs = [record(steps=20_000, **FEASIBLE), record("rule_based", **FEASIBLE)]
    assert column(table_of(runs).grid, "steps") == ["0.02", "–"]
    assert "steps" not in [heading.name for heading in table_of(runs[1:]).grid.headings]


def test_what_was_learned_from_is_shown_where_rows_differ_in_it() -> None:
    def rows(**learned: float | None) -> list[Record]:
        steps = {"train_steps": 20_000.0}
        return [
            *(record(name, steps=20_000, **FEASIBLE, **steps, learned_steps=part) for name, part in learned.items()),
            record("rule_based", **FEASIBLE, train_steps=0.0),
        ]

    grid = table_of(rows(mappo=16_000.0, ippo=20_000.0, qmix=None)).grid
    shares = dict(zip(column(grid, "method"), column(grid, "learned from"), strict=True))
    assert shares == {"mappo": "80", "ippo": "100", "qmix": "–", "rule_based": "–"}
    headings = [heading.name for heading in grid.headings]
    assert headings[headings.index("learned from") - 1] == "steps"
    for alike in ({"mappo": 20_000.0, "ippo": 20_000.0}, {"mappo": 16_000.0}, {"mappo": None, "ippo": None}):
        assert "learned from" not in [heading.name for heading in table_of(rows(**alike)).grid.headings]


def test_set_ups_are_rows_of_their_own_and_say_what_differs() -> None:
    runs = [record(seed=seed, steps=20_000 * (1 + seed), objective=3.0, **FEASIBLE) for seed in range(2)]
    assert column(table_of(runs).grid, "variant") == ["20,000 steps", "40,000 steps"]
    named = [run.model_copy(update={"spec": run.spec.model_copy(update={"variant": "team"})}) for run in runs]
    assert column(table_of(named).grid, "variant") == ["team, 20,000 steps", "team, 40,000 steps"]


def test_runs_of_fewer_trainings_say_so() -> None:
    runs = [record(seed=n, steps=20_000, **FEASIBLE).model_copy(update={"policy": "p"}) for n in range(2)]
    assert column(table_of(runs).grid, "verdict") == ["feasible 2/2 (2 runs of 1 training)"]


def test_published_networks_share_a_table() -> None:
    records = read_runs(HOURLY)
    found = layout(records)
    assert [table.title for table in found.tables] == [
        f"campus_seven/*/hourly-{level}" for level in ("0.25", "0.3", "0.35", "0.4")
    ]
    for table in found.tables:
        named = list(zip(column(table.grid, "method"), column(table.grid, "network"), strict=True))
        assert named.count(("consensus-independent", "all")) == named.count(("random", "all")) == 1
        assert sorted(network for method, network in named if method == "consensus-gossip") == ["star", "two_groups"]
        assert "Networks: star, two_groups." in table.opening
    assert len(leaderboard(records)) == len({(r.spec.scenario, r.spec.method, r.spec.variant) for r in records})
    assert "counted once" in found.origins[1]


def test_text_of_shared_tables() -> None:
    found = layout(read_runs(HOURLY))
    text, tex = markdown(found), latex(found)
    assert text.startswith(found.origins[0])
    assert text.count("\n## campus_seven/*/hourly-") == text.count(EVERY_SEED) == 4
    for line in text.split("## ")[1].splitlines():
        assert line.count("|") in (0, 16, 9)
    assert tex.count("\\begin{tabular}{@{}lllrrrrrrrr@{}}") == 4
    assert tex.count("{") == tex.count("}")
