from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.records import record

from accord.baselines.base import Controller, Method, MethodConfig
from accord.baselines.registry import METHODS, Entry
from accord.benchmark.boards.leaderboard import read_runs
from accord.benchmark.launch.runner import execute
from accord.benchmark.records.published import write_published
from accord.benchmark.records.store import Store
from accord.benchmark.report import bounds
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run
from accord.envs.errors import UsageError
from accord.envs.task import Box, Task

Accord = Callable[..., tuple[int, str, str]]


def tracked(folder: Path) -> int:
    return len(list(folder.glob("runs/wandb/offline-run-*")))


def test_a_run_leaves_records_a_report_and_what_was_published(done: Path) -> None:
    assert len(Store(done / "runs").records("tiny")) == 3
    for target in (done / "runs" / "reports" / "tiny", done / "results" / "tiny"):
        assert len(pd.read_parquet(target / "runs.parquet")) == 3
        assert {"leaderboard.csv", "leaderboard.md", "leaderboard.tex", "improvement.csv"} <= {
            path.name for path in target.iterdir()
        }
        assert list(target.glob("figures/*.png"))


def test_running_again_does_nothing_again(accord: Accord, done: Path) -> None:
    before = tracked(done)
    assert before == 4  # three runs and the leaderboard
    status, said, told = accord("run", "tiny.yaml")
    assert status == 0
    assert "3 of 3 runs done, 0 carried out now" in told
    assert "consensus-gossip" in said
    assert tracked(done) == before


def test_a_record_that_was_not_tracked_is_tracked_by_the_next_call(accord: Accord, done: Path) -> None:
    before = tracked(done)
    store = Store(done / "runs")
    (store.folder(store.records("tiny")[0].spec) / "tracked").unlink()
    accord("run", "tiny.yaml", "--wandb", "disabled")
    assert tracked(done) == before
    accord("run", "tiny.yaml", "--wandb", "offline")
    accord("run", "tiny.yaml", "--wandb", "offline")
    assert tracked(done) == before + 1


@pytest.mark.parametrize(
    ("form", "start"),
    [("md", "> A smoke suite"), ("latex", "% Needs \\usepackage{booktabs}"), ("csv", "suite,scenario")],
)
@pytest.mark.parametrize("published", [[], ["--published"]], ids=["scratch", "published"])
def test_reports_come_in_three_formats(accord: Accord, form: str, start: str, published: list[str]) -> None:
    status, said, _ = accord("report", "tiny.yaml", "--format", form, *published)
    assert status == 0
    assert said.startswith(start)
    assert "serve" in said


def test_show_finds_a_run_by_the_beginning_of_its_digest(accord: Accord, done: Path) -> None:
    record = next(r for r in Store(done / "runs").records() if r.spec.method == "serve_now")
    status, said, _ = accord("show", record.spec.digest[:8])
    assert status == 0
    assert "synthetic_7-week/ring/average-0.4 serve_now seed 0: done" in said
    assert "violation" in said
    assert record.provenance.data_digest in said


def test_show_prints_names_as_they_were_typed(accord: Accord, tmp_path: Path) -> None:
    made = record()
    made = made.model_copy(update={"spec": made.spec.model_copy(update={"variant": "[red]x[/red] :smile: été β"})})
    Store(tmp_path).save(made, {})
    status, said, _ = accord("show", made.spec.digest, "--root", str(tmp_path))
    assert status == 0
    assert "consensus-gossip [[red]x[/red] :smile: été β] seed 0: done" in said


def test_list_names_every_word(accord: Accord) -> None:
    status, said, _ = accord("list")
    assert status == 0
    for word in ("quick", "consensus-gossip", "oracle", "campus_seven", "two_groups", "hourly-C"):
        assert word in said


def test_audit_says_what_was_seen(accord: Accord) -> None:
    status, said, _ = accord("audit", "consensus-gossip")
    assert status == 0
    assert "consensus-gossip claims to be decentralised: neighbours, 1 hop/step" in said


def test_audit_says_whom_a_liar_reaches(accord: Accord) -> None:
    status, said, _ = accord("audit", "consensus-gossip", "--scenario", "paper_seven/path+liar_says-1/average-0.05")
    assert status == 0
    assert "others that act differently" in said


def test_a_run_that_passes_a_bound_of_theory_fails_its_suite(accord: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    assert accord("run", "tiny.yaml", "--wandb", "disabled")[0] == 0
    monkeypatch.setattr(bounds, "LEDGER_ERROR", -1.0)
    status, _, said = accord("run", "tiny.yaml", "--wandb", "disabled")
    assert status == 1
    assert "consensus-gossip seed 0: the ledger of violation is" in said


def test_publish_writes_where_it_is_told(accord: Accord, tmp_path: Path) -> None:
    status, said, _ = accord("publish", "tiny.yaml", "--results", str(tmp_path))
    assert status == 0
    assert said.startswith("3 runs published")
    assert (tmp_path / "tiny" / "runs.parquet").exists()


def test_a_suite_is_published_whole_or_not_at_all(accord: Accord, tmp_path: Path) -> None:
    # Runs of other settings under the same names are not part of the suite.
    assert accord("run", "tiny.yaml", "--steps", "600", "--wandb", "disabled", "--root", str(tmp_path / "runs"))[0] == 0
    status, _, said = accord("publish", "tiny.yaml", "--root", str(tmp_path / "runs"), "--results", str(tmp_path))
    assert status == 2
    assert "of its 3 runs are missing" in said
    assert not (tmp_path / "tiny").exists()


GAMES = """
description: Two games.
seeds: 2
effort: {steps: 100}
entries:
  - scenarios: [games/two_step, games/qtran]
    methods: [random]
"""
LEARNER = """
description: One learner, two ways.
seeds: 1
effort: {steps: 100}
entries:
  - scenarios: [games/two_step]
    methods: [vdn]
    variants:
      "": {}
      narrow: {hidden: [8]}
"""
RULES = """
description: Two rules.
seeds: 1
effort: {steps: 100}
entries:
  - scenarios: [synthetic_7-week/ring/average-0.4]
    methods: [serve_now, rule_based]
"""


def test_a_suite_does_not_take_the_place_of_another_of_its_name(accord: Accord, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    suites = [tmp_path / "rules.yaml", tmp_path / "other" / "rules.yaml"]
    places = ["--root", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    for suite, text in zip(suites, (RULES, RULES.replace("[serve_now, rule_based]", "[random]")), strict=True):
        suite.write_text(text)
        assert accord("run", str(suite), "--wandb", "disabled", *places)[0] == 0
    assert accord("publish", str(suites[0]), *places)[0] == 0
    published = tmp_path / "results" / "rules" / "runs.parquet"
    before = published.read_bytes()
    status, _, said = accord("publish", str(suites[1]), *places)
    assert status == 2
    assert "2 of 2 runs under" in said
    assert "--replace drops them" in said
    assert published.read_bytes() == before
    assert accord("publish", str(suites[1]), "--replace", *places)[0] == 0
    assert [run.spec.method for run in read_runs(published)] == ["random"]


def test_a_part_of_a_suite_replaces_its_own_scenarios_and_keeps_the_others(accord: Accord, tmp_path: Path) -> None:
    suite, results = tmp_path / "games.yaml", ["--results", str(tmp_path / "results")]
    suite.write_text(GAMES)
    first, second = (["--root", str(tmp_path / name)] for name in ("first", "second"))
    published = tmp_path / "results" / "games" / "runs.parquet"

    def returns() -> dict[str, list[float]]:
        return pd.read_parquet(published).groupby("scenario")["episode_return"].apply(list).to_dict()

    assert accord("run", str(suite), "--wandb", "disabled", *first)[0] == 0
    assert accord("publish", str(suite), *first, *results)[0] == 0
    whole = returns()
    assert {name: len(values) for name, values in whole.items()} == {"games/two_step": 2, "games/qtran": 2}
    table = pd.read_parquet(published)
    table["episode_return"] = 99.0
    write_published(published.parent, {published.name: table.to_parquet()})

    assert accord("run", str(suite), "--scenarios", "qtran", "--wandb", "disabled", *second)[0] == 0
    status, said, _ = accord("publish", str(suite), "--scenarios", "games/qtran", *second, *results)
    assert status == 0
    assert said.startswith("2 runs published beside 2:")
    assert returns() == {"games/two_step": [99.0, 99.0], "games/qtran": whole["games/qtran"]}
    text = (published.parent / "leaderboard.md").read_text()
    assert "## games/two_step" in text
    assert "99.00" in text

    for words in ([], ["--scenarios", "two_step"]):
        status, _, told = accord("publish", str(suite), *words, *second, *results)
        assert status == 2
        assert "runs are missing" in told
    assert returns() == {"games/two_step": [99.0, 99.0], "games/qtran": whole["games/qtran"]}


def test_some_methods_replace_their_own_runs_and_figures_that_would_lack_the_others_stay(
    accord: Accord, tmp_path: Path
) -> None:
    suite, results = tmp_path / "rules.yaml", ["--results", str(tmp_path / "results")]
    suite.write_text(RULES)
    first, second = (["--root", str(tmp_path / name)] for name in ("first", "second"))
    assert accord("run", str(suite), "--wandb", "disabled", *first)[0] == 0
    assert accord("publish", str(suite), *first, *results)[0] == 0
    folder = tmp_path / "results" / "rules"
    drawn = {path: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert drawn
    assert accord("run", str(suite), "--methods", "rule_based", "--wandb", "disabled", *second)[0] == 0
    earlier = pd.read_parquet(folder / "runs.parquet").assign(identity="")  # of before there were digests
    write_published(folder, {"runs.parquet": earlier.to_parquet()})
    status, said, _ = accord("publish", str(suite), "--methods", "rule_based", *second, *results)
    assert status == 0
    assert said.startswith("1 runs published beside 1:")
    assert "STALE" not in (folder / "leaderboard.md").read_text()
    assert set(pd.read_parquet(folder / "runs.parquet")["method"]) == {"serve_now", "rule_based"}
    assert {path: path.read_bytes() for path in (folder / "figures").iterdir()} == drawn
    status, _, told = accord("publish", str(suite), "--methods", "serve_now", *second, *results)
    assert status == 2
    assert f"first: accord run {suite} --methods serve_now" in told


def test_a_variant_is_published_beside_the_others_of_its_method(accord: Accord, tmp_path: Path) -> None:
    suite, results = tmp_path / "learners.yaml", ["--results", str(tmp_path / "results")]
    suite.write_text(LEARNER)
    first, second = (["--root", str(tmp_path / name)] for name in ("first", "second"))
    published = tmp_path / "results" / "learners" / "runs.parquet"
    assert accord("run", str(suite), "--wandb", "disabled", *first)[0] == 0
    assert accord("publish", str(suite), *first, *results)[0] == 0
    table = pd.read_parquet(published)
    table["episode_return"] = 99.0
    write_published(published.parent, {published.name: table.to_parquet()})
    variant = ["--variants", "narrow", *second]
    assert accord("run", str(suite), "--wandb", "disabled", *variant)[0] == 0
    status, said, _ = accord("publish", str(suite), *variant, *results)
    assert status == 0
    assert said.startswith("1 runs published beside 1:")
    returns = pd.read_parquet(published).set_index("variant")["episode_return"]
    assert returns[""] == 99.0
    assert returns["narrow"] < 99.0
    # The whole method again: a variant that its suite has no longer goes.
    suite.write_text(LEARNER.replace("narrow", "slim"))
    whole = ["--methods", "vdn", *second]
    assert accord("run", str(suite), "--wandb", "disabled", *whole)[0] == 0
    assert accord("publish", str(suite), *whole, *results)[0] == 0
    assert set(pd.read_parquet(published)["variant"]) == {"", "slim"}


def test_a_method_that_cannot_be_audited_does_not_stop_the_report(
    accord: Accord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnlyGames(Method):
        """Refuses boxes of actions."""

        def build(self, task: Task, generator: torch.Generator) -> Controller:
            if isinstance(task.spec.action, Box):
                raise UsageError("only\ngames")
            return METHODS["random"].method(MethodConfig()).build(task, generator)

    monkeypatch.setitem(METHODS, "only_games", Entry(OnlyGames, {}, "nothing"))
    record = execute(resolve_run(make_run("games/qtran", "only_games", 0, suite="games")), Store(tmp_path / "runs"))
    assert record.status == "done"
    (tmp_path / "games.yaml").write_text(GAMES.replace("random", "only_games"))
    status, said, _ = accord("report", str(tmp_path / "games.yaml"), "--root", str(tmp_path / "runs"))
    assert status == 0
    assert r"not audited: only\ngames" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "quikc"], "did you mean 'quick'?"),
        (["run", "nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        (["run", "tiny.yaml", "--methods", "serve_later"], "--methods: unknown method 'serve_later'"),
        (["run", "tiny.yaml", "--variants", "fast"], "--variants: suite 'tiny' has no variant 'fast'"),
        (["run", "tiny.yaml", "--budgets", "average-2x"], "budget 'average-2x'"),
        (["run", "tiny.yaml", "--scenarios", "homes"], "no run is left"),
        (["run", "tiny.yaml", "--seed-list", "1,-2"], "--seed-list: '-2' is not a seed"),
        (["run", "tiny.yaml", "--seed-list", "9223372036854775808"], "'9223372036854775808' is not a seed; allowed: "),
        (["run", "tiny.yaml", "--seed-list", "9" * 5000], "' is not a seed; allowed: "),
        (["run", "tiny.yaml", "--wandb", "on"], "--wandb: unknown mode 'on'; allowed: online, offline, disabled"),
        (["run", "tiny.yaml", "--launcher", "cloud"], "unknown launcher 'cloud'; allowed: local, ray, slurm"),
        (["run", "tiny.yaml", "--address", "auto"], "--address: only with --launcher ray"),
        (["run", "tiny.yaml", "--root", "tiny.yaml"], "error: tiny.yaml: File exists"),
        (["report", "tiny.yaml", "--narrow"], "--narrow: only with --format latex and without --summary"),
        (["report", "tiny.yaml", "--format", "html"], "--format: unknown format 'html'; allowed: md, latex, csv"),
        (["report", "tiny.yaml", "--root", "elsewhere"], "no runs under elsewhere/"),
        (["report", "quick", "--write"], "--write: only with --published"),
        (["report", "quick", "--published"], "nothing is published under results/quick/"),
        (["publish", "quick"], "runs are missing under runs/"),
        (["show", "zzz"], "RUN: no run begins with 'zzz' under runs/ or results/"),
        (["show", ""], "an argument: is empty; leave it out, or say what it should be"),
        (["run", "tiny.yaml", "--methods", ""], "--methods: is empty; leave it out"),
        (["run", "tiny.yaml", "--seed-list="], "--seed-list: is empty; leave it out"),
        (["run", "tiny.yaml", "--scenarios", " ,"], "--scenarios: is empty; leave it out"),
        (["audit", "oracle"], "'oracle' is a bound and does not act"),
        (["audit", "gossip"], "unknown method 'gossip'"),
        (["audit", "serve_now", "--scenario", "paper_seven/ring"], "must be district/network/budget"),
        (["scale", "gosip"], "LINES: 'gosip' is not in the suite; allowed: consensus-gossip, "),
        (["scale", "--agents", "8,many"], "--agents: 'many' is not a number of agents; allowed: whole numbers from 2"),
        (
            ["scale", "rule_based", "--agents", "4", "--publish"],
            "--publish: lines are published whole; leave out --agents",
        ),
        (["scale", "--published"], "nothing is published under results/scale/; first: accord scale --publish"),
        (["scale", "--published", "--agents", "4"], "--published: the report is printed as it is; leave out all but"),
        (["run", "tiny.yaml", "--device", "cuda:7"], "--device: 'cuda:7' is not here; allowed on this machine: cpu"),
        (["tune", "--device", "gpu"], "--device: 'gpu' is not here; allowed on this machine: cpu"),
        (["scale", "--device", "gpu"], "--device: 'gpu' is not here; allowed on this machine: cpu"),
        (["scale-quality", "gosip"], "LINES: 'gosip' is not in the suite; allowed: consensus-gossip, "),
        (["scale-quality", "--agents", "4", "--publish"], "--publish: the suite is published whole; leave out LINES"),
        (["profile", "gosip"], "METHOD: unknown method 'gosip'; did you mean 'apg-gossip'? allowed: "),
        (["reproduce", "quick"], "nothing is published under results/quick/"),
        (["reproduce", "tiny.yaml", "--methods", "random"], "no published run is left after the filters"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_status_2(accord: Accord, words: list[str], said: str) -> None:
    status, printed, told = accord(*words)
    lines = [line for line in told.splitlines() if line]
    assert status == 2
    assert said in lines[-1]
    assert lines[-1].startswith("error: ")
    assert len([line for line in lines if not line.startswith("suite tiny:")]) == 1
    assert not printed


@pytest.mark.parametrize("words", [["run"], ["run", "quick", "--seeds", "0"], ["run", "quick", "--jbos", "2"], ["fly"]])
def test_usage_errors_exit_with_status_2(accord: Accord, words: list[str]) -> None:
    status, _, told = accord(*words)
    assert status == 2
    assert "Traceback" not in told
