import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import image

from accord.benchmark.boards.comparison import improvements
from accord.benchmark.boards.leaderboard import TABLE_COLUMNS, read_runs
from accord.benchmark.boards.tables import SMOKE
from accord.benchmark.figures.curves import POINT, RUN, SETUP, read_curves
from accord.benchmark.launch.runner import execute
from accord.benchmark.records.published import SUMS, changed
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.report.report import NO_FIGURES, SuiteReport, write_report
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run
from accord.benchmark.specs.suite import Suite
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError

AVERAGE = "synthetic_7-week/two_groups/average-0.4"
TIGHT = "synthetic_7-week/two_groups/average-0.29"
HOURLY = "synthetic_8-week/ring/hourly-0.6"
CONSENSUS = ("consensus-gossip", "consensus-independent")

SUITE = Suite.model_validate(
    {
        "name": "small",
        "description": "For this test.",
        "smoke": True,
        "seeds": 1,
        "effort": {"steps": 2048, "snapshots": 2},
        "entries": [{"district": "d", "networks": ["n"], "budgets": ["b"], "methods": ["m"]}],
    }
)
Writer = Callable[[Path], list[Path]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def records(store: Store) -> list[Record]:
    """Real runs, one of which fails."""
    plain = [(scenario, method) for scenario in (AVERAGE, TIGHT, HOURLY) for method in ("oracle", "serve_now")]
    learned = [(scenario, method) for scenario in (AVERAGE, HOURLY) for method in CONSENSUS]
    specs = [make_run(*names, 0, suite="small", effort=SUITE.effort) for names in [*plain, *learned]]
    specs.append(make_run(AVERAGE, "random", 0, suite="small"))
    broken = make_run(AVERAGE, "allocation_expert", 0, suite="small")  # which has no place in a district
    return [execute(resolve_run(spec), store) for spec in [*specs, broken]]


def report_of(records: list[Record], store: Store) -> SuiteReport:
    locality = {("consensus-gossip", ""): "neighbours, 1 hop/step"}
    return SuiteReport(SUITE, records, locality, lambda address: store.load_context(resolve(address)))


def render(records: list[Record], fmt: str) -> str:
    return SuiteReport(SUITE, records).render(fmt)


@pytest.fixture(scope="module")
def write(records: list[Record], store: Store) -> Writer:
    def into(target: Path) -> list[Path]:
        return write_report(report_of(records, store), target, store.traces)

    return into


@pytest.fixture(scope="module")
def target(write: Writer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    before = dict(mpl.rcParams)
    write(folder)
    assert dict(mpl.rcParams) == before  # drawing leaves no settings behind
    return folder


def test_every_kind_of_file_is_written(target: Path) -> None:
    names = {path.name for path in target.iterdir()}
    texts = {"leaderboard.csv", "leaderboard.md", "leaderboard.tex", "improvement.csv", "curves.csv", SUMS}
    assert names == texts | {"runs.parquet", "figures"}
    drawn = {path.stem for path in (target / "figures").glob("*.png")}
    assert drawn == {path.stem for path in (target / "figures").glob("*.pdf")}
    assert drawn == {
        "gap-violation",
        *(
            f"{what}-{family}"
            for what in ("import", "multipliers")  # a week is too short for figures of the waiting load
            for family in ("synthetic_7-week-two_groups-average", "synthetic_8-week-ring-hourly")
        ),
        *(f"curves-{address.replace('/', '-')}" for address in (AVERAGE, HOURLY)),
    }


def test_pictures_show_something(target: Path) -> None:
    for path in (target / "figures").glob("*.png"):
        pixels = image.imread(path)
        assert pixels.shape[1] >= 1000
        assert 0.02 < (pixels[..., :3].min(-1) < 0.95).mean() < 0.5, path.name


def test_same_input_same_bytes(target: Path, write: Writer, tmp_path: Path) -> None:
    for path in write(tmp_path):
        assert path.read_bytes() == (target / path.relative_to(tmp_path)).read_bytes(), path.name


def test_csv_has_the_promised_columns_and_the_failed_run(target: Path) -> None:
    with (target / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(TABLE_COLUMNS)
    failed = next(row for row in rows if row["method"] == "allocation_expert")
    assert failed["verdict"] == "failed"
    assert failed["objective"] == ""
    assert {row["locality"] for row in rows if row["method"] == "consensus-gossip"} == {"neighbours, 1 hop/step"}


def test_markdown_says_what_a_reader_must_know(target: Path) -> None:
    text = (target / "leaderboard.md").read_text()
    assert SMOKE in text.split("##")[0]
    assert "LP: feasible, optimum" in section(text, AVERAGE)
    assert "LP: infeasible" in section(text, TIGHT)
    assert "smallest level that can be met is 0.3" in section(text, TIGHT)
    assert "In sample" in section(text, AVERAGE)
    assert "| *serve_now*" in section(text, TIGHT)
    assert "*violates*" in section(text, TIGHT)
    assert "allocation_expert seed 0: failed: method allocation_expert: task" in text
    assert "audit: neighbours, 1 hop/step" in text
    assert "(figures/import-synthetic_7-week-two_groups-average.png)" in text


def test_latex_marks_the_best_and_the_infeasible(target: Path) -> None:
    tables = (target / "leaderboard.tex").read_text().split("\\begin{table*}")[1:]
    average = next(table for table in tables if "average-0.4" in table)
    tight = next(table for table in tables if "average-0.29." in table)
    assert average.count("\\toprule") == average.count("\\bottomrule") == 1
    assert sum("\\textbf{feasible}" in line for line in average.splitlines()) == 1
    assert "Steps: 0.00205 million." in average
    assert "\\textbf" not in tight
    assert "\\unmet{serve\\_now}" in tight
    assert "_" not in "".join(tables).replace("\\_", "")
    assert "%" not in "".join(tables).replace("\\%", "")
    for table in tables:
        body = table.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()
        assert {line.count("&") for line in body} == {10}
        assert all(line.endswith("\\\\") for line in body)
        assert table.count("{") == table.count("}")


def test_leaderboard_is_rebuilt_from_the_published_runs(target: Path, records: list[Record]) -> None:
    published = read_runs(target / "runs.parquet")
    for fmt in ("md", "latex", "csv"):
        assert render(published, fmt) == render(records, fmt)


def test_several_seeds_show_points_then_intervals(records: list[Record]) -> None:
    gossip = next(r for r in records if (r.spec.method, r.spec.scenario) == ("consensus-gossip", AVERAGE))

    def seeds(count: int) -> list[Record]:
        return [
            gossip.model_copy(
                update={
                    "spec": gossip.spec.model_copy(update={"seed": seed}),
                    "metrics": gossip.metrics | {"delay": 30.0 + seed},
                }
            )
            for seed in range(count)
        ]

    assert "30.0, 31.0, 32.0 impractical" in render(seeds(3), "md")
    five = render(seeds(5), "md")
    assert "32.0 [30.0, 34.0] impractical" in five
    assert "**consensus-gossip**" not in five  # served a day late is no best method


def test_without_traces_the_runs_numbers_are_drawn_alone(records: list[Record], tmp_path: Path) -> None:
    written = write_report(SuiteReport(SUITE, records), tmp_path, lambda spec: {})
    assert {path.name for path in written if path.parent.name == "figures"} == {
        "gap-violation.png",
        "gap-violation.pdf",
    }
    assert "(figures/gap-violation.png)" in (tmp_path / "leaderboard.md").read_text()
    nothing = [record.model_copy(update={"metrics": {}}) for record in records]
    written = write_report(SuiteReport(SUITE, nothing), tmp_path, lambda spec: {})
    assert {path.suffix for path in written if path.name != SUMS} == {".parquet", ".csv", ".md", ".tex"}
    assert NO_FIGURES in (tmp_path / "leaderboard.md").read_text()
    assert list((tmp_path / "figures").iterdir()) == []


def test_learning_curves_are_a_table_of_points(target: Path, records: list[Record], store: Store) -> None:
    table = read_curves(target / "curves.csv")
    assert list(table) == [*RUN, *POINT, SETUP]
    assert set(table[SETUP]) == {""}
    learned = [record for record in records if record.spec.method in CONSENSUS]
    for record in learned:
        own = table[(table["scenario"] == record.spec.scenario) & (table["method"] == record.spec.method)]
        arrays = store.traces(record.spec)
        assert own["seed"].tolist() == [0] * len(arrays["curve_steps"])
        for name in ("steps", "seconds", "gap", "violation"):
            assert own[name].tolist() == arrays[f"curve_{name}"].tolist()
        assert own["return"].isna().all()
        assert set(own["variant"]) == {""}
    assert len(table) == sum(len(store.traces(record.spec)["curve_steps"]) for record in learned)


def test_a_part_keeps_curves_and_figures_of_runs_whose_traces_are_elsewhere(
    target: Path, records: list[Record], store: Store, tmp_path: Path
) -> None:
    shutil.copytree(target, tmp_path / "kept")
    before = {path.name: path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    written = write_report(
        report_of(records, store),
        tmp_path / "kept",
        lambda spec: store.traces(spec) if spec.scenario == HOURLY else {},
        part=True,
    )
    assert {path.name for path in written} == set(before)
    changed = {path.name for path in written if path.read_bytes() != before[path.name]}
    assert changed <= {"leaderboard.md", SUMS}  # where figures come in another order


def test_runs_without_curves_do_not_keep_those_of_others(
    target: Path, records: list[Record], store: Store, tmp_path: Path
) -> None:
    shutil.copytree(target, tmp_path / "kept")
    rules = [record for record in records if record.spec.method == "serve_now"]
    for _ in range(2):  # the second reads what the first left
        write_report(report_of(rules, store), tmp_path / "kept", store.traces)
    assert not (tmp_path / "kept" / "curves.csv").exists()
    assert list(changed(tmp_path / "kept")) == []


def episodic(seed: int, method: str, value: float, like: Record) -> Record:
    spec = like.spec.model_copy(update={"scenario": "games/two_step", "method": method, "seed": seed})
    return like.model_copy(update={"spec": spec, "metrics": {"episode_return": value, "n_agents": 2}})


def test_an_episodic_scenario_shows_returns_beside_what_is_known(records: list[Record]) -> None:
    like = next(record for record in records if record.spec.method == "random")
    runs = [episodic(seed, "random", 4.5, like) for seed in range(4)]
    runs += [episodic(seed, "serve_now", 8.0, like) for seed in range(4)]
    text = section(render([*records, *runs], "md"), "games/two_step")
    assert "Known: random 4.75, optimum 8." in text
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in head.split("|")[5:-1]] == [
        *("verdict", "return", "training (s)", "execution (µs)", "messages"),
    ]
    assert [row.split("|")[1].strip() for row in rows] == ["**serve_now**", "random"]
    table = render(runs, "latex").split("\\midrule")[1].split("\\bottomrule")[0]
    assert {line.count("&") for line in table.strip().splitlines()} == {6}
    assert "LP" not in text


def test_the_higher_return_is_the_improvement(records: list[Record]) -> None:
    like = next(record for record in records if record.spec.method == "random")
    runs = [episodic(0, "random", 4.5, like), episodic(0, "serve_now", 8.0, like)]
    (row,) = improvements(runs, subject="serve_now").to_dict("records")
    assert (row["over"], row["probability"]) == ("random", 1.0)


def test_unknown_format_is_a_clear_error(records: list[Record]) -> None:
    with pytest.raises(UsageError, match="unknown format 'html'; allowed: md, latex, csv"):
        render(records, "html")


def section(text: str, scenario: str) -> str:
    return text.split(f"## {scenario}\n")[1].split("\n## ")[0]
