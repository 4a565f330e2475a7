"""The search for settings: the same trials and the same samples for every method in it, scored on training hours.

A trial trains on each of the search's scenarios and is scored by what its policy does on hours that no published
figure is measured on, where the data allow it (they do for the homes, not for the campus), or in episodes of the
search's own seed. Trials are short. The best
of them enter the finals: they train for as long as the published runs, since steps of multipliers that suit a
half-trained policy make a trained one overshoot, and what concerns execution alone is searched again on the policy
that came out: evaluations without training, of no use to a method whose multipliers are fixed. Every finished trial
is kept, so a search that was stopped goes on, and the same search finds the same.
"""

from __future__ import annotations

import json
import multiprocessing as mp
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import resources
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from accord.baselines.base import Effort, NoCheckpoint
from accord.baselines.registry import explain, make_method, nest
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.evaluation.metrics import Context
from accord.benchmark.launch.contexts import prepare_context
from accord.benchmark.records.record import provenance_here, write_file
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.envs.catalogue import DistrictScenario, Scenario, resolve
from accord.envs.districts.district import HOURS
from accord.envs.errors import UsageError

# Relaxing an hourly budget by a point saves less than a point of cost: at twice that, violating never pays.
INFEASIBLE = 2.0
ALLOWED = 0.01
FAILED = 100.0
OUTCOME = ("optimality_gap", "violation", "backlog_growth", "episode_return")  # kept of every trial
STARTUP_TRIALS = 5  # of the sampler, the defaults included
# Multipliers move once a day: over a few weeks alone a trial would be scored by how fast they settle.
WARMUP, MEASURED = 31 * HOURS, 90 * HOURS


class Range(BaseModel):
    """What one setting may be: a number between two others, or one of some choices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="Search on a logarithmic scale.")
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Range:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("must give `low` and `high`, or `choices`")
        return self


class Finals(BaseModel):
    """What becomes of the best trials."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    best: int = Field(ge=1, description="Trials that enter.")
    steps: int = Field(gt=0, description="Agent-steps of each training.")
    trials: int = Field(ge=1, description="Of the settings that concern execution alone, on each policy.")


class Search(BaseModel):
    """What is searched, and at what effort."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int = Field(ge=1)
    steps: int = Field(gt=0, description="Agent-steps of each training.")
    seed: int = Field(ge=0)
    scenarios: tuple[str, ...] = Field(min_length=1)
    finals: Finals
    methods: dict[str, dict[str, Range]]


def search_names() -> list[str]:
    """Searches that come with Accord; each is named after the suite that it is for."""
    files = resources.files("accord.benchmark.searches").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_search(name: str) -> Search:
    """A search by name.

    Raises:
        UsageError: no such search; its file has an unknown key or a wrong value.
    """
    if name not in search_names():
        raise UsageError(f"--search: unknown search '{name}'; allowed: {', '.join(search_names())}")
    path = Path(str(resources.files("accord.benchmark.searches") / f"{name}.yaml"))
    try:
        return Search.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}") from None


def tune(
    search: Search, methods: Sequence[str], target: Path, store: Store, jobs: int, tell: Callable[[str], None]
) -> None:
    """Run the search for some methods, side by side; trials that `target` already holds are not repeated.

    Args:
        search: What to search.
        methods: Of those in the search.
        target: Folder of one JSON file per method.
        store: Where the linear programmes' answers are kept.
        jobs: Methods at a time.
        tell: Called with a line for each finished trial.

    Raises:
        UsageError: a method that the search does not name, or optuna is not installed.
    """
    for method in methods:
        if method not in search.methods:
            raise UsageError(f"METHODS: '{method}' is not in the search; allowed: {', '.join(search.methods)}")
        defaults(method, search.methods[method])
    for address in search.scenarios:
        scored = scored_on(address)
        if isinstance(scored, DistrictScenario) and prepare_context(scored, store).oracle != "feasible":
            raise UsageError(f"scenario '{address}': nothing meets its budgets on the hours of the search")
    left = dict.fromkeys(methods, search.trials + search.finals.best)
    for method in methods:
        found = _read(search, method, target)
        left[method] -= len(found["trials"]) + len(found["finals"])
    with ProcessPoolExecutor(jobs, mp_context=mp.get_context("spawn")) as pool:
        running = {pool.submit(_next, search, method, target, store.root): method for method in methods if left[method]}
        while running:
            ended = next(as_completed(running))
            method = running.pop(ended)
            if fault := ended.exception():
                pool.shutdown(cancel_futures=True)
                raise fault
            tell(f"{method}: {ended.result()}")
            left[method] -= 1
            if left[method]:
                running[pool.submit(_next, search, method, target, store.root)] = method


def scored_on(address: str) -> Scenario:
    """A scenario over the last ninety of its training days, a month of warm-up before; over all if there are fewer.

    An episodic one as it is.
    """
    scenario = resolve(address)
    if not isinstance(scenario, DistrictScenario):
        return scenario
    first, end = scenario.district.training
    return scenario.over((max(first, end - WARMUP - MEASURED), max(first, end - MEASURED), end))


def defaults(method: str, space: dict[str, Range]) -> dict[str, Any]:
    """What a method's class says of the settings in a space, by dotted name.

    Raises:
        UsageError: the space names a setting that the method does not have.
    """
    config = make_method(method, tuned=False).config
    try:
        return {name: attrgetter(name)(config) for name in space}
    except AttributeError as error:
        raise UsageError(f"search: key 'methods.{method}': no setting '{error.name}'") from None


def score(metrics: dict[str, Any]) -> float:
    """Gap to the optimum, and twice what is beyond the allowed violation and growth; lower is better.

    Where there is no optimum, less the return.
    """
    if metrics["optimality_gap"] is None:
        return -float(metrics["episode_return"])
    beyond = [max(0.0, metrics[name] - ALLOWED) for name in ("violation", "backlog_growth")]
    return float(metrics["optimality_gap"] + INFEASIBLE * sum(beyond))


def _next(search: Search, method: str, target: Path, root: Path) -> str:
    """Carry out the next trial or final and keep the outcome; one line on it."""
    torch.set_num_threads(1)
    content, store = _read(search, method, target), Store(root)
    trials, finals = content["trials"], content["finals"]
    if len(trials) < search.trials:
        stage, of, done = "trial", search.trials, trials
        settings = _ask(search.methods[method], trials, defaults(method, search.methods[method]), search.seed)
        states = _train(search, method, settings, search.steps)
        done.append(_measure(search, method, settings, states, store))
    else:
        stage, of, done = "final", search.finals.best, finals
        settings = sorted(trials, key=_score)[len(finals)]["settings"]
        states = _train(search, method, settings, search.finals.steps)
        done.append(_final(search, method, settings, states, store))
    best = min(finals or trials, key=_score)
    content["best"] = {"settings": best["settings"], "score": best["score"]}
    content["git_revision"] = provenance_here().git_revision
    write_file(target / f"{method}.json", (json.dumps(content, indent=1) + "\n").encode())
    return f"{stage} {len(done)} of {of}, score {done[-1]['score']:.3f}, best {min(map(_score, done)):.3f}"


def _final(
    search: Search, method: str, settings: dict[str, Any], states: dict[str, _Trained], store: Store
) -> dict[str, Any]:
    """The best of what concerns execution alone on trained policies, and all that was tried: first what it had."""
    space = {name: values for name, values in search.methods[method].items() if _only_executes(method, name, values)}
    tried: list[dict[str, Any]] = []
    for _ in range(search.finals.trials if space else 1):
        asked = _ask(space, tried, {name: settings[name] for name in space}, search.seed)
        tried.append(_measure(search, method, settings | asked, states, store))
    return min(tried, key=_score) | {"tried": tried}


def _score(trial: dict[str, Any]) -> float:
    return float(trial["score"])


def _only_executes(method: str, name: str, values: Range) -> bool:
    """No training depends on which of several values the setting has."""
    first, last = (values.choices[0], values.choices[-1]) if values.choices else (values.low, values.high)
    keys = [make_method(method, nest({name: value}), tuned=False).config.training_key() for value in (first, last)]
    return bool(first != last) and keys[0] == keys[1]


def _ask(space: dict[str, Range], trials: list[dict[str, Any]], first: dict[str, Any], seed: int) -> dict[str, Any]:
    """The next settings: the first ones (a single choice is fixed), then what the sampler makes of the trials."""
    if not trials:
        return first | {name: values.choices[0] for name, values in space.items() if len(values.choices) == 1}
    try:
        import optuna
    except ImportError:
        raise UsageError("the search needs the package optuna: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A seed per trial: a search that was stopped asks for what it would have asked for.
    sampler = optuna.samplers.TPESampler(seed=seed + len(trials), n_startup_trials=STARTUP_TRIALS)
    study = optuna.create_study(sampler=sampler)
    distributions = {name: _distribution(optuna, values) for name, values in space.items()}
    for trial in trials:
        inside = {name: _inside(trial["settings"][name], space[name]) for name in space}
        study.add_trial(optuna.trial.create_trial(params=inside, distributions=distributions, value=trial["score"]))
    return dict(study.ask(distributions).params)


def _distribution(optuna: Any, values: Range) -> Any:
    if values.choices:
        return optuna.distributions.CategoricalDistribution(values.choices)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)


def _inside(value: Any, values: Range) -> Any:
    """A default that lies outside its range counts as the nearest end or choice, for the sampler alone."""
    if values.choices:
        near = [choice for choice in values.choices if isinstance(choice, int | float)]
        return value if value in values.choices else min(near, key=lambda c: abs(c - value), default=values.choices[0])
    assert values.low is not None
    assert values.high is not None
    return min(max(value, values.low), values.high)


@dataclass(frozen=True)
class _Trained:
    """What a controller needs of what was learned, and how long it took."""

    state: dict[str, Any]
    seconds: float


def _train(search: Search, method: str, settings: dict[str, Any], steps: int) -> dict[str, _Trained]:
    """One training per scenario, by address."""
    trained = {}
    for address in search.scenarios:
        scenario, rows = resolve(address), list[dict[str, float]]()
        controller = make_method(method, nest(settings), tuned=False).train(
            scenario.task(),
            scenario.network(),
            Effort(steps, float("inf")),
            seeded(search.seed, "train"),
            lambda row, rows=rows: rows.append(dict(row)),  # type: ignore[misc]
            NoCheckpoint(),
        )
        trained[address] = _Trained(controller.state_dict(), rows[-1]["seconds"])
    return trained


def _measure(
    search: Search, method: str, settings: dict[str, Any], states: dict[str, _Trained], store: Store
) -> dict[str, Any]:
    """What trained policies do with these settings on the hours of the search: each scenario's outcome, mean score."""
    outcomes = {}
    for address, trained in states.items():
        scored = scored_on(address)
        made = make_method(method, nest(settings), tuned=False)
        controller = made.build(resolve(address).task(), seeded(search.seed, "train"))
        controller.load_state_dict(trained.state)
        context = prepare_context(scored, store) if isinstance(scored, DistrictScenario) else Context()
        try:
            metrics: dict[str, Any] = evaluate(scored, controller, context, seeded(search.seed, "evaluate")).metrics
            kept = {name: float(metrics[name]) for name in OUTCOME if metrics[name] is not None}
            outcome = {"score": min(FAILED, score(metrics)), **kept}
        except ArithmeticError:
            outcome = {"score": FAILED}
        outcomes[address] = outcome | {"seconds": trained.seconds}
    total = sum(outcome["score"] for outcome in outcomes.values()) / len(outcomes)
    return {"settings": settings, "score": total, "outcomes": outcomes}


def _read(search: Search, method: str, target: Path) -> dict[str, Any]:
    """What was found so far by the very same search.

    Raises:
        UsageError: the file holds another one.
    """
    what = {
        "method": method,
        "search": search.model_dump(mode="json", exclude={"methods"}),
        "space": {k: v.model_dump(exclude_defaults=True, mode="json") for k, v in search.methods[method].items()},
    }
    path = target / f"{method}.json"
    if not path.exists():
        return what | {"trials": [], "finals": []}
    content: dict[str, Any] = json.loads(path.read_text())
    if {name: content[name] for name in what} != what:
        raise UsageError(f"{path}: holds another search; move it away to begin a new one")
    return content
