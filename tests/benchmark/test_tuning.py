"""The search for settings: what it asks, how it scores, that it goes on where it stopped."""

import json
from pathlib import Path

import pytest

from baselines.registry import METHODS, make_method, nest
from benchmark.store import Store
from benchmark.tuning import Range, Search, _ask, defaults, load_search, score, tune
from envs.errors import UsageError

SMALL = Search(
    trials=2,
    steps=3_000,
    seed=7,
    scenarios=("paper_seven/ring/average-0.4",),
    methods={
        "consensus-gossip": {"ppo.lr": Range(low=1e-4, high=1e-2, log=True), "copies": Range(choices=(2, 4))},
        "qmix-augmented": {"lr": Range(low=1e-4, high=1e-2, log=True), "lanes": Range(choices=(14, 28))},
    },
)


def told(target: Path, method: str) -> dict:
    return json.loads((target / f"{method}.json").read_text())


def test_every_range_of_the_search_names_a_setting_and_every_method_has_the_same_trials() -> None:
    search = load_search()
    for method, space in search.methods.items():
        assert method in METHODS
        assert set(defaults(method, space)) == set(space)


def test_search_keeps_every_trial_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    store, lines = Store(tmp_path / "runs"), list[str]()
    first, whole = tmp_path / "first", tmp_path / "whole"
    one = SMALL.model_copy(update={"trials": 1})
    tune(SMALL, ["consensus-gossip", "qmix-augmented"], whole, store, 2, lines.append)
    assert len(lines) == 4
    tune(one, ["consensus-gossip"], first, store, 1, lines.append)
    content = told(first, "consensus-gossip")
    content["search"]["trials"] = 2  # the same search, stopped after its first trial
    (first / "consensus-gossip.json").write_text(json.dumps(content))
    tune(SMALL, ["consensus-gossip"], first, store, 1, lines.append)
    stopped, uninterrupted = told(first, "consensus-gossip"), told(whole, "consensus-gossip")
    for trial, same in zip(stopped["trials"], uninterrupted["trials"], strict=True):
        assert trial["settings"] == same["settings"]
        assert trial["score"] == same["score"]
    assert uninterrupted["best"]["score"] == min(trial["score"] for trial in uninterrupted["trials"])
    first_tried = uninterrupted["trials"][0]["settings"]
    assert first_tried == defaults("consensus-gossip", SMALL.methods["consensus-gossip"])


def test_asked_settings_lie_in_their_ranges() -> None:
    trials = [{"settings": {"lr": 0.5, "lanes": 256}, "score": 1.0}]  # a default may lie outside
    asked = _ask(SMALL, "qmix-augmented", trials)
    assert 1e-4 <= asked["lr"] <= 1e-2
    assert asked["lanes"] in (14, 28)
    make_method("qmix-augmented", nest(asked))


def test_a_feasible_policy_scores_its_gap_and_an_infeasible_one_worse() -> None:
    feasible = {"optimality_gap": 0.2, "violation": 0.01, "backlog_growth": 0.0}
    assert score(feasible) == 0.2
    assert score(feasible | {"violation": 0.06}) == pytest.approx(0.3)
    assert score(feasible | {"optimality_gap": 0.0, "backlog_growth": 0.06}) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("search", "methods", "message"),
    [
        (SMALL, ["vdn"], "METHODS: 'vdn' is not in the search; allowed: consensus-gossip, qmix-augmented"),
        (
            SMALL.model_copy(update={"scenarios": ("paper_seven/ring/average-0.19",)}),
            ["qmix-augmented"],
            "scenario 'paper_seven/ring/average-0.19': nothing meets its budgets on the hours of the search",
        ),
        (
            SMALL.model_copy(update={"methods": {"vdn": {"lrr": Range(choices=(1, 2))}}}),
            ["vdn"],
            "tuning.yaml: key 'methods.vdn.lrr': no such setting",
        ),
    ],
)
def test_a_search_that_cannot_be_run_says_so_in_one_line(
    search: Search, methods: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="^" + message.replace("(", r"\(").replace(".", r"\.")):
        tune(search, methods, tmp_path, Store(tmp_path / "runs"), 1, print)


def test_another_search_does_not_go_on_in_the_same_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    tune(SMALL.model_copy(update={"trials": 1}), ["consensus-gossip"], tmp_path, store, 1, lambda line: None)
    with pytest.raises(UsageError, match="holds another search"):
        tune(SMALL, ["consensus-gossip"], tmp_path, store, 1, lambda line: None)


def test_published_searches_are_those_of_the_methods_settings() -> None:
    for path in sorted(Path("results/tuning").glob("*.json")):
        found = json.loads(path.read_text())
        assert len(found["trials"]) == found["search"]["trials"], path
        config = make_method(found["method"]).config.model_dump()
        for name, value in found["best"]["settings"].items():
            *path_to, last = name.split(".")
            place = config
            for part in path_to:
                place = place[part]
            near = pytest.approx(value, rel=0.01) if isinstance(value, float) else value
            assert place[last] == near, (path, name)
