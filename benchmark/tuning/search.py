"""The search for settings: the same trials and the same samples for every method in it, scored on training hours.

A trial trains on the first part of each scenario's training hours and is scored by what its policy does on the last,
which it has not seen (see `parted`), or in episodes of the search's own seed. Where the data allow it, no published
figure is measured on either (they do for the homes, not for the campus). What concerns execution alone is searched
beside that, over all policies: each begins with the best that is known so far and tries a few others, so that policies
are told apart by their training and not by the steps that they were tried with. Trials are short. The best of them
enter the finals: they train for as long as the published runs, since steps of multipliers that suit a half-trained
policy make a trained one overshoot, and what concerns execution alone is searched again on the policies that came out:
evaluations without training, of no use to a method whose multipliers are fixed. Every finished trial is kept, so a
search that was stopped goes on, and the same search finds the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accord.baselines.base import Effort, Method, Training
from accord.baselines.registry import make_method, nest
from accord.benchmark.evaluation.context import GROWTH_ALLOWED, VIOLATION_ALLOWED
from accord.benchmark.evaluation.evaluate import evaluate
from accord.benchmark.launch.contexts import prepare_context
from accord.benchmark.launch.jobs import TRAINING, Ended, Job, Launcher, Room, Tell
from accord.benchmark.places import place_from
from accord.benchmark.records.code import known_digests, take_digests
from accord.benchmark.records.files import reading, write_file
from accord.benchmark.records.provenance import provenance_here
from accord.benchmark.records.sealed import open_json, seal_json
from accord.benchmark.records.store import Store
from accord.benchmark.seeding import seeded
from accord.benchmark.specs.run import CPU, device_for
from accord.benchmark.tuning.space import Range, Search, defaults, only_executes
from accord.envs.catalogue import resolve
from accord.envs.checks import device_of
from accord.envs.districts.district import HOURS
from accord.envs.errors import UsageError
from accord.envs.scenario import Episodes, Hours, Scenario

# Relaxing an hourly budget by a point saves less than a point of cost: at twice that, violating never pays.
INFEASIBLE = 2.0
FAILED, LOST = 100.0, 1e9  # scores of a rollout that ended in no number: over hours, and in episodes
OUTCOME = ("optimality_gap", "violation", "backlog_growth", "episode_return")  # kept of every trial
STARTUP_TRIALS = 5  # of the sampler, the defaults included
FINALS = 1000  # added to the sampler's seed in the finals
# Multipliers move once a day: over a few weeks alone a trial would be scored by how fast they settle.
WARMUP, MEASURED = 31 * HOURS, 90 * HOURS


def tune(
    search: Search, methods: Sequence[str], target: Path, store: Store, launcher: Launcher, tell: Callable[[str], None]
) -> None:
    """Run the search for some methods, side by side; trials that `target` already holds are not repeated.

    Args:
        search: What to search.
        methods: Of those in the search.
        target: Folder of one JSON file per method.
        store: Where the linear programmes' answers are kept.
        launcher: What carries the trials out, those of a method one after the other.
        tell: Called with a line for each finished trial.

    Raises:
        UsageError: a method that the search does not name, a file of results that cannot be read, another process at
            the same search, or optuna is not installed.
    """
    for method in methods:
        if method not in search.methods:
            raise UsageError(f"METHODS: '{method}' is not in the search; allowed: {', '.join(search.methods)}")
        defaults(method, search.methods[method])
    store.begin()
    for address in search.scenarios:
        scored = parted(address)
        if isinstance(scored.protocol, Hours) and prepare_context(scored, store).oracle != "feasible":
            raise UsageError(f"scenario '{address}': no plan is known to meet its budgets on these hours")

    def on_end(over: Ended) -> None:
        if over.fault is not None:
            raise UsageError(f"{over.job.title}: {over.fault[1]}")
        tell(f"{over.job.data['method']}: {over.value}")

    with ExitStack() as alone:
        for method in methods:
            alone.enter_context(store.leases.hold(f"search-{target.name}-{method}"))
        launcher.work([job for method in methods for job in _left(search, method, target, store)], on_end)


def parted(address: str) -> Scenario:
    """A scenario measured on the last of its training hours and trained on those before them; an episodic one as it is.

    Ninety days are measured, or half of the hours where there are fewer, and a month before them is the warm-up.
    """
    scenario = resolve(address)
    if not isinstance(scenario.protocol, Hours):
        return scenario
    first, end = scenario.protocol.training
    middle = end - min(MEASURED, (end - first) // 2 // HOURS * HOURS)
    hours = Hours((first, middle), max(first, middle - WARMUP), (middle, end))
    return scenario.over(hours)


def score(metrics: dict[str, Any], protocol: Hours | Episodes) -> float:
    """Over hours the gap to the optimum, and twice what is beyond the allowed violation and growth; lower is better.

    Of an episodic scenario less the return. Where an optimum near zero has no gap, the objective takes its place.
    """
    if not isinstance(protocol, Hours):
        return -float(metrics["episode_return"])
    allowed = {"violation": VIOLATION_ALLOWED, "backlog_growth": GROWTH_ALLOWED}
    beyond = sum(max(0.0, (metrics[name] or 0.0) - most) for name, most in allowed.items())
    gap = metrics["objective"] if metrics["optimality_gap"] is None else metrics["optimality_gap"]
    return min(FAILED, float(gap) + INFEASIBLE * beyond)


def _left(search: Search, method: str, target: Path, store: Store) -> list[Job]:
    """The trials and finals of a method that `target` does not hold; what one asks for depends on those before it."""
    found = _read(search, method, target)
    left = search.trials + search.finals.best - len(found["trials"]) - len(found["finals"])
    data = {"search": search.model_dump(mode="json"), "method": method, "target": str(target.absolute())}
    data |= {"root": str(store.root.absolute()), "code": known_digests()}
    names = [f"{method} {n}" for n in range(left)]
    room = Room() if search.device == CPU else Room(gpus=1.0)
    return [
        Job(name, f"tune {method}", _next, data, needs=tuple(names[max(0, n - 1) : n]), room=room, loads=TRAINING)
        for n, name in enumerate(names)
    ]


def _next(data: Mapping[str, Any], tell: Tell) -> str:
    """A job: carry out the next trial or final and keep the outcome; one line on it."""
    take_digests(data["code"])
    search, method = Search.model_validate(data["search"]), data["method"]
    target, store = Path(data["target"]), Store(place_from(data["root"]))
    content = _read(search, method, target)
    trials, finals = content["trials"], content["finals"]
    space, first = search.methods[method], defaults(method, search.methods[method], search.tuned)
    executing = {name: values for name, values in space.items() if only_executes(method, name, values)}
    if len(trials) < search.trials:
        stage, of, done, seed = "trial", search.trials, trials, search.seed
        steps, count = search.steps, search.executions
        training = {name: values for name, values in space.items() if name not in executing}
        settings = first | _ask(training, trials, first, seed)
        if trials:
            settings |= {name: min(_tried(trials), key=_score)["settings"][name] for name in executing}
    else:
        stage, of, done, seed = "final", search.finals.best, finals, search.seed + FINALS
        steps, count = search.finals.steps, search.finals.trials
        ranked = [trial["settings"] for trial in sorted(trials, key=_score)]
        settings = ranked[len(finals)] if ranked else _ask(space, [], first, seed)
    states = _train(search, method, settings, steps)
    tried = [_measure(search, method, settings, states, store)]
    for _ in range(count - 1 if executing else 0):
        asked = _ask(executing, _tried(done) + tried, {}, seed)
        tried.append(_measure(search, method, settings | asked, states, store))
    done.append(min(tried, key=_score) | {"tried": tried})
    best = min(finals or trials, key=_score)
    content["best"] = {"settings": best["settings"], "score": best["score"]}
    content["git_revision"] = provenance_here().git_revision
    write_file(target / f"{method}.json", seal_json(content))
    return f"{stage} {len(done)} of {of}, score {done[-1]['score']:.3f}, best {min(map(_score, done)):.3f}"


def _tried(done: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All evaluations behind some trials; a trial that was alone names none."""
    return [one for trial in done for one in trial.get("tried", [trial])]


def _score(trial: dict[str, Any]) -> float:
    return float(trial["score"])


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
        scenario, rows = parted(address), list[Mapping[str, float]]()
        made = make_method(method, nest(settings), tuned=search.tuned)
        task = scenario.task(_device(search, made, scenario))
        controller = made.train(
            task,
            scenario.network().to(task.device),
            Training(Effort(steps, float("inf")), seeded(search.seed, "train"), rows.append),
        )
        trained[address] = _Trained(controller.state_dict(), rows[-1]["seconds"] if rows else 0.0)
    return trained


def _measure(
    search: Search, method: str, settings: dict[str, Any], states: dict[str, _Trained], store: Store
) -> dict[str, Any]:
    """What trained policies do with these settings on the hours of the search: each scenario's outcome, mean score."""
    outcomes = {}
    for address, trained in states.items():
        scored = parted(address)
        made = make_method(method, nest(settings), tuned=search.tuned)
        device = _device(search, made, scored)
        controller = made.build(scored.task(device), seeded(search.seed, "train"))
        controller.load_state_dict(trained.state)
        context = prepare_context(scored, store)
        try:
            generator = seeded(search.seed, "evaluate")
            metrics: dict[str, Any] = evaluate(scored, controller, context, generator, device=device).metrics
            kept = {name: float(metrics[name]) for name in OUTCOME if metrics[name] is not None}
            outcome = {"score": score(metrics, scored.protocol), **kept}
        except ArithmeticError:
            outcome = {"score": FAILED if isinstance(scored.protocol, Hours) else LOST}
        outcomes[address] = outcome | {"seconds": trained.seconds}
    total = sum(outcome["score"] for outcome in outcomes.values()) / len(outcomes)
    return {"settings": settings, "score": total, "outcomes": outcomes}


def _device(search: Search, method: Method, scenario: Scenario) -> str:
    return str(device_of(device_for(method, scenario, search.device)))


def _read(search: Search, method: str, target: Path) -> dict[str, Any]:
    """What was found so far by the very same search.

    Raises:
        UsageError: the file holds another one, or cannot be read.
    """
    what = search.what(method)
    path = target / f"{method}.json"
    if not path.exists():
        return what | {"trials": [], "finals": []}
    with reading(path, "move it away to begin a new search"):
        content = open_json(path.read_bytes())
        found = {name: content[name] for name in (*what, "trials", "finals")}
    if {name: found[name] for name in what} != what:
        raise UsageError(f"{path}: holds another search; move it away to begin a new one")
    return content
