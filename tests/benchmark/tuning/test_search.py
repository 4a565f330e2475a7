"""The search for settings: what it asks, how it scores, that it goes on where it stopped."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from helpers.damage import LOSSES, Damage

from accord.baselines.registry import METHODS, make_method, nest
from accord.benchmark.launch.local import LocalLauncher
from accord.benchmark.records.sealed import open_json, seal_json
from accord.benchmark.records.store import Store
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.named import files_of
from accord.benchmark.specs.suite import load_suite
from accord.benchmark.tuning.search import FAILED, _ask, _read, parted, score, tune
from accord.benchmark.tuning.space import HOME, Finals, Range, Search, defaults, load_search
from accord.envs.catalogue import resolve, resolve_district
from accord.envs.demand_response import DemandResponse
from accord.envs.errors import UsageError
from accord.envs.scenario import Hours

ROOT = Path(__file__).resolve().parents[3]
# Searches that have not been carried out to their end yet: `tuned.yaml` has what an earlier one found.
AWAITED: dict[str, set[str]] = {
    "allocation": {"mappo", "ippo-attention"},
    "planning": set(),
    "core": set(),
    "execution": set(),
}
SMALL = Search(
    trials=2,
    executions=2,
    steps=1_000,
    seed=7,
    scenarios=("synthetic_7-week/ring/average-0.4",),
    finals=Finals(best=1, steps=2_000, trials=3),
    methods={
        "consensus-gossip": {
            "ppo.lr": Range(low=1e-4, high=1e-2, log=True),
            "copies": Range(choices=(2, 4)),
            "dual.alpha": Range(low=0.02, high=0.6),
        },
        "qmix-lagrangian": {"lr": Range(low=1e-4, high=1e-2, log=True), "lanes": Range(choices=(14, 28))},
    },
)


def told(target: Path, method: str) -> dict:
    return open_json((target / f"{method}.json").read_bytes())


@pytest.mark.parametrize("name", files_of(HOME))
def test_every_range_of_a_search_names_a_setting(name: str) -> None:
    search = load_search(name)
    for method, space in search.methods.items():
        assert method in METHODS
        assert set(defaults(method, space)) == set(space)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search that was not stopped."""
    folder, lines = tmp_path_factory.mktemp("whole"), list[str]()
    tune(SMALL, list(SMALL.methods), folder, Store(folder / "runs"), LocalLauncher(2, quiet=True), lines.append)
    assert len(lines) == len(SMALL.methods) * 3  # two trials and a final
    return folder


def test_a_search_begins_with_the_defaults_and_goes_on_where_it_stopped(whole: Path, tmp_path: Path) -> None:
    method = "qmix-lagrangian"
    found = told(whole, method)
    assert found["trials"][0]["settings"] == defaults(method, SMALL.methods[method])
    assert found["best"]["score"] == found["finals"][0]["score"]
    halfway = found | {"trials": found["trials"][:1], "finals": []}
    (tmp_path / f"{method}.json").write_bytes(seal_json(halfway))
    tune(SMALL, [method], tmp_path, Store(whole / "runs"), LocalLauncher(1, quiet=True), lambda line: None)
    assert without_seconds(told(tmp_path, method)) == without_seconds(found)


def without_seconds(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: without_seconds(value) for name, value in content.items() if name != "seconds"}
    return [without_seconds(value) for value in content] if isinstance(content, list) else content


def test_policies_are_told_apart_at_the_best_steps_that_are_known(whole: Path) -> None:
    consensus, values = (told(whole, method)["trials"] for method in ("consensus-gossip", "qmix-lagrangian"))
    assert [len(trial["tried"]) for trial in (*consensus, *values)] == [2, 2, 1, 1]
    assert all(trial["score"] == min(one["score"] for one in trial["tried"]) for trial in consensus)
    first, second = consensus
    assert second["tried"][0]["settings"]["dual.alpha"] == first["settings"]["dual.alpha"]
    assert second["settings"]["ppo.lr"] != first["settings"]["ppo.lr"]
    assert len({one["settings"]["dual.alpha"] for trial in consensus for one in trial["tried"]}) == 3


def test_in_the_finals_what_concerns_execution_alone_is_searched_on_one_policy(whole: Path) -> None:
    consensus, values = (told(whole, method) for method in ("consensus-gossip", "qmix-lagrangian"))
    best = min(consensus["trials"], key=lambda trial: trial["score"])["settings"]
    tried = consensus["finals"][0]["tried"]
    assert [len(tried), len(values["finals"][0]["tried"])] == [3, 1]
    assert tried[0]["settings"] == best
    assert len({trial["settings"]["dual.alpha"] for trial in tried}) == 3
    assert {trial["settings"]["ppo.lr"] for trial in tried} == {best["ppo.lr"]}
    assert consensus["finals"][0]["score"] == min(trial["score"] for trial in tried)


def test_asked_settings_lie_in_their_ranges() -> None:
    trials = [{"settings": {"lr": 0.5, "lanes": 256}, "score": 1.0}]  # a default may lie outside
    asked = _ask(SMALL.methods["qmix-lagrangian"], trials, {}, SMALL.seed)
    assert 1e-4 <= asked["lr"] <= 1e-2
    assert asked["lanes"] in (14, 28)
    make_method("qmix-lagrangian", nest(asked))


def test_a_feasible_policy_scores_its_gap_and_an_infeasible_one_worse() -> None:
    feasible = {"optimality_gap": 0.2, "violation": 0.01, "backlog_growth": 0.0}
    hours = parted("homes_17/ring/hourly-0.27").protocol
    assert score(feasible, hours) == 0.2
    assert score(feasible | {"violation": 0.06}, hours) == pytest.approx(0.3)
    assert score(feasible | {"optimality_gap": 0.0, "backlog_growth": 0.06}, hours) == pytest.approx(0.1)
    near_zero = {"optimality_gap": None, "objective": 0.5, "violation": 0.31, "backlog_growth": 0.0}
    assert score(near_zero, hours) == pytest.approx(0.5 + 0.6)


def test_episodes_are_scored_by_their_return_however_low() -> None:
    episodes = resolve("coupled/three").protocol
    assert score({"episode_return": -375.5}, episodes) == 375.5 > FAILED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 5, "high": 1}, r"`low` must be less than `high`, got 5\.0 and 1\.0"),
        ({"low": 0, "high": 1, "log": True}, r"`low` must be more than 0 with `log`, got 0\.0"),
        ({"low": 1, "choices": [1, 2]}, "must not give `low`, `high` or `log` beside `choices`"),
        ({"low": 1}, "must give `low` and `high`, or `choices`"),
    ],
)
def test_a_range_that_cannot_be_searched_is_a_mistake(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Range.model_validate(values)


@pytest.mark.parametrize(
    ("search", "methods", "message"),
    [
        (SMALL, ["vdn"], "METHODS: 'vdn' is not in the search; allowed: consensus-gossip, qmix-lagrangian"),
        (
            SMALL.model_copy(update={"scenarios": ("synthetic_7-week/ring/average-0.29",)}),
            ["qmix-lagrangian"],
            "scenario 'synthetic_7-week/ring/average-0.29': no plan is known to meet its budgets on these hours",
        ),
        (
            SMALL.model_copy(update={"methods": {"vdn": {"lrr": Range(choices=(1, 2))}}}),
            ["vdn"],
            "search: key 'methods.vdn': no setting 'lrr'",
        ),
    ],
)
def test_a_search_that_cannot_be_run_says_so_in_one_line(
    search: Search, methods: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="^" + message.replace("(", r"\(").replace(".", r"\.")):
        tune(search, methods, tmp_path, Store(tmp_path / "runs"), LocalLauncher(1, quiet=True), print)


def test_one_process_at_a_time_searches_for_a_method(whole: Path) -> None:
    store = Store(whole / "runs")
    with store.leases.hold(f"search-{whole.name}-qmix-lagrangian"):
        with pytest.raises(UsageError, match=f"^{store.root}/: process .* is at work on search-.*-qmix-lagrangian; "):
            tune(SMALL, [*SMALL.methods], whole, store, LocalLauncher(1, quiet=True), print)
        tune(SMALL, ["consensus-gossip"], whole, store, LocalLauncher(1, quiet=True), print)


def test_another_search_does_not_go_on_in_the_same_file(whole: Path) -> None:
    longer = SMALL.model_copy(update={"trials": 5})
    with pytest.raises(UsageError, match="holds another search"):
        tune(
            longer, ["consensus-gossip"], whole, Store(whole / "runs"), LocalLauncher(1, quiet=True), lambda line: None
        )


@pytest.mark.parametrize("damage", LOSSES.values(), ids=LOSSES)
def test_trials_that_were_damaged_are_refused(damage: Damage, tmp_path: Path) -> None:
    good, file = ROOT / "results" / "tuning" / "planning" / "mpc.json", tmp_path / "mpc.json"
    search, content = load_search("planning"), good.read_bytes()
    for seed in range(10):
        file.write_bytes(damage(content, Random(seed)))
        if spoken(file) == spoken(good):  # a space became a tab
            assert _read(search, "mpc", tmp_path) == _read(search, "mpc", good.parent)
        else:
            with pytest.raises(UsageError, match=f"^{file}: cannot be read .*; move it away to begin a new search"):
                _read(search, "mpc", tmp_path)


def spoken(path: Path) -> Any:
    """What a file of JSON says; None where it is none."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def used(name: str, method: str, search: Search) -> dict[str, Any]:
    """The settings that a suite's runs of a method have: those of `tuned.yaml`, or the suite's own."""
    if name in ("core", "planning") or search.tuned:
        return make_method(method).config.model_dump()
    specs = runs_of(load_suite(name))
    return next(s.config for s in specs if (s.method, s.variant, s.scenario) == (method, "", search.scenarios[0]))


def check_same(config: dict[str, Any], settings: dict[str, Any], where: object) -> None:
    for setting, value in settings.items():
        *path_to, last = setting.split(".")
        place = config
        for part in path_to:
            place = place[part]
        near = pytest.approx(value, rel=0.01) if isinstance(value, float) else value
        assert place[last] == near, (where, setting)


@pytest.mark.parametrize("name", files_of(HOME))
def test_published_searches_are_those_of_the_methods_settings(name: str) -> None:
    search = load_search(name)
    paths = sorted((ROOT / "results" / "tuning" / name).glob("*.json"))
    assert {path.stem for path in paths} | AWAITED[name] == set(search.methods)
    for path in paths:
        found = _read(search, path.stem, path.parent)  # no other search than the one that comes with Accord
        if path.stem in AWAITED[name]:
            continue
        assert len(found["trials"]) == found["search"]["trials"], path
        assert len(found["finals"]) == found["search"]["finals"]["best"], path
        config = used(name, found["method"], search)
        check_same(config, found["best"]["settings"], path)


def test_settings_of_the_campus_alone_are_what_the_searches_found_best_there() -> None:
    runs = {run.method: run for run in runs_of(load_suite("core")) if run.variant == "campus"}
    assert len(runs) == 6
    for method, run in runs.items():
        search = "execution" if method == "mappo-moving-gossip" else "core"
        found = told(ROOT / "results" / "tuning" / search, method)
        tried = [one for final in found["finals"] for one in final["tried"]]
        best = min(tried, key=lambda one: one["outcomes"][run.scenario]["score"])
        check_same(run.config, best["settings"], method)


def test_policies_of_a_search_are_scored_on_hours_that_they_have_not_seen() -> None:
    for address, middle in (("homes_17/ring/hourly-0.27", 5088 - 90 * 24), ("campus_seven/ring/hourly-0.35", 1464)):
        first, end = resolve_district(address).protocol.training
        hours = parted(address).protocol
        assert hours == Hours((first, middle), middle - 31 * 24, (middle, end))
        task = parted(address).task()
        assert isinstance(task, DemandResponse)
        task.reset(512, torch.Generator().manual_seed(0))
        assert int(task._hour.column.max()) <= middle - task.spec.horizon
    assert parted("games/climbing") == resolve("games/climbing")


def test_without_trials_the_finals_search_what_concerns_execution_alone(whole: Path, tmp_path: Path) -> None:
    space = {"dual.share": Range(choices=("own_peak",)), "dual.alpha": Range(low=0.02, high=0.6, log=True)}
    search = SMALL.model_copy(update={"trials": 0, "tuned": True, "methods": {"consensus-independent": space}})
    tune(search, ["consensus-independent"], tmp_path, Store(whole / "runs"), LocalLauncher(1, quiet=True), print)
    (final,) = told(tmp_path, "consensus-independent")["finals"]
    assert {trial["settings"]["dual.share"] for trial in final["tried"]} == {"own_peak"}
    tuned = make_method("consensus-independent").config.model_dump()["dual"]["alpha"]
    alphas = [trial["settings"]["dual.alpha"] for trial in final["tried"]]
    assert (alphas[0], len(set(alphas))) == (tuned, 3)


def test_a_search_without_trials_has_one_final() -> None:
    with pytest.raises(ValueError, match=r"`finals.best` must be 1 without trials, got 2"):
        Search.model_validate(SMALL.model_dump() | {"trials": 0, "finals": {"best": 2, "steps": 1, "trials": 1}})
