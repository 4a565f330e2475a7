"""The search for settings: the same trials and the same samples for every method, scored on training hours.

A trial trains on each of the search's scenarios and is scored by what its policy does on hours that no published
figure is measured on, where the data allow it (they do for the homes, not for the campus). Every finished trial is
kept, so a search that was stopped goes on, and the same search finds the same settings.
"""

from __future__ import annotations

import json
import multiprocessing as mp
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baselines.base import Effort, NoCheckpoint
from baselines.registry import explain, make_method, nest
from benchmark.contexts import prepare_context
from benchmark.evaluate import evaluate
from benchmark.record import provenance_here, write_file
from benchmark.seeding import seeded
from benchmark.store import Store
from envs.catalogue import DistrictScenario, resolve_district
from envs.district import HOURS
from envs.errors import UsageError

# Relaxing an hourly budget by a point saves less than a point of cost: at twice that, violating never pays.
INFEASIBLE = 2.0
ALLOWED = 0.01
FAILED = 100.0
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


class Search(BaseModel):
    """What is searched, and at what effort."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    trials: int = Field(ge=1)
    steps: int = Field(gt=0, description="Agent-steps of each training.")
    seed: int = Field(ge=0)
    scenarios: tuple[str, ...] = Field(min_length=1)
    methods: dict[str, dict[str, Range]]


def load_search() -> Search:
    """The search that comes with Accord.

    Raises:
        UsageError: its file has an unknown key or a wrong value.
    """
    path = Path(str(resources.files("benchmark") / "tuning.yaml"))
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
        if prepare_context(scored_on(address), store).oracle != "feasible":
            raise UsageError(f"scenario '{address}': nothing meets its budgets on the hours of the search")
    pending = {method: len(_finished(search, method, target)) for method in methods}
    with ProcessPoolExecutor(jobs, mp_context=mp.get_context("spawn")) as pool:
        running = {
            pool.submit(_next_trial, search, method, target, store.root): method
            for method in methods
            if pending[method] < search.trials
        }
        while running:
            ended = next(as_completed(running))
            method = running.pop(ended)
            if fault := ended.exception():
                pool.shutdown(cancel_futures=True)
                raise fault
            tell(f"{method}: {ended.result()}")
            pending[method] += 1
            if pending[method] < search.trials:
                running[pool.submit(_next_trial, search, method, target, store.root)] = method


def scored_on(address: str) -> DistrictScenario:
    """A scenario over the last ninety of its training days, a month of warm-up before; over all if there are fewer."""
    scenario = resolve_district(address)
    first, end = scenario.district.training
    return scenario.over((max(first, end - WARMUP - MEASURED), max(first, end - MEASURED), end))


def defaults(method: str, space: dict[str, Range]) -> dict[str, Any]:
    """A method's own values of the settings in a space, by dotted name.

    Raises:
        UsageError: the space names a setting that the method does not have.
    """
    config = make_method(method).config.model_dump()
    found = {}
    for name in space:
        value: Any = config
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                raise UsageError(f"tuning.yaml: key 'methods.{method}.{name}': no such setting")
            value = value[part]
        found[name] = value
    return found


def score(metrics: dict[str, Any]) -> float:
    """Gap to the optimum, and twice what is beyond the allowed violation and growth; lower is better."""
    beyond = [max(0.0, metrics[name] - ALLOWED) for name in ("violation", "backlog_growth")]
    return float(metrics["optimality_gap"] + INFEASIBLE * sum(beyond))


def _next_trial(search: Search, method: str, target: Path, root: Path) -> str:
    """Ask for settings, try them, keep the outcome; one line on it."""
    torch.set_num_threads(1)
    trials = _finished(search, method, target)
    settings = _ask(search, method, trials)
    outcomes = {address: _try(search, method, settings, address, Store(root)) for address in search.scenarios}
    total = sum(outcome["score"] for outcome in outcomes.values()) / len(outcomes)
    trials.append({"settings": settings, "score": total, "outcomes": outcomes})
    best = min(trials, key=lambda trial: trial["score"])
    content = {
        "method": method,
        "search": search.model_dump(mode="json", include={"trials", "steps", "seed", "scenarios"}),
        "space": {k: v.model_dump(exclude_defaults=True, mode="json") for k, v in search.methods[method].items()},
        "best": {"settings": best["settings"], "score": best["score"]},
        "trials": trials,
        "git_revision": provenance_here().git_revision,
    }
    write_file(target / f"{method}.json", (json.dumps(content, indent=1) + "\n").encode())
    return f"trial {len(trials)} of {search.trials}, score {total:.3f}, best {best['score']:.3f}"


def _ask(search: Search, method: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The next settings: the defaults first (a single choice is fixed), then what the sampler makes of the trials."""
    space = search.methods[method]
    if not trials:
        fixed = {name: values.choices[0] for name, values in space.items() if len(values.choices) == 1}
        return defaults(method, space) | fixed
    try:
        import optuna
    except ImportError:
        raise UsageError("the search needs the package optuna: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # A seed per trial: a search that was stopped asks for what it would have asked for.
    sampler = optuna.samplers.TPESampler(seed=search.seed + len(trials), n_startup_trials=STARTUP_TRIALS)
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


def _try(search: Search, method: str, settings: dict[str, Any], address: str, store: Store) -> dict[str, float]:
    """Train on a scenario and measure on the hours of the search."""
    scenario = resolve_district(address)
    made = make_method(method, nest(settings))
    rows: list[dict[str, float]] = []
    controller = made.train(
        scenario.task(),
        scenario.network(),
        Effort(search.steps, float("inf")),
        seeded(search.seed, "train"),
        lambda row: rows.append(dict(row)),
        NoCheckpoint(),
    )
    scored = scored_on(address)
    try:
        found = evaluate(scored, controller, prepare_context(scored, store), seeded(search.seed, "evaluate"))
        metrics: dict[str, Any] = found.metrics
    except ArithmeticError:
        return {"score": FAILED, "seconds": rows[-1]["seconds"]}
    kept = {name: float(metrics[name]) for name in ("optimality_gap", "violation", "backlog_growth")}
    return {"score": min(FAILED, score(metrics)), **kept, "seconds": rows[-1]["seconds"]}


def _finished(search: Search, method: str, target: Path) -> list[dict[str, Any]]:
    """Trials of the very same search that were carried out before."""
    path = target / f"{method}.json"
    if not path.exists():
        return []
    content = json.loads(path.read_text())
    same = content["search"] == search.model_dump(mode="json", include={"trials", "steps", "seed", "scenarios"})
    space = {k: v.model_dump(exclude_defaults=True, mode="json") for k, v in search.methods[method].items()}
    if not same or content["space"] != space:
        raise UsageError(f"{path}: holds another search; move it away to begin a new one")
    return list(content["trials"])
