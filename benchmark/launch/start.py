"""Many runs: what is missing becomes jobs (optima, trainings, runs), which a launcher carries out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console

from accord.benchmark.launch.contexts import compared_on, context_lease, prepare_context
from accord.benchmark.launch.jobs import TRAINING, Ended, Job, Launcher, Room, Row, State, Tell, Work
from accord.benchmark.launch.local import launcher_here
from accord.benchmark.launch.runner import carry_out, ended_badly, held, holds, run_lease
from accord.benchmark.launch.training import policy_lease, prepare_policy
from accord.benchmark.places import Place, is_private, place_from
from accord.benchmark.records.code import known_digests, take_digests
from accord.benchmark.records.identity import identify, is_readable, policy_here
from accord.benchmark.records.record import Record
from accord.benchmark.records.store import Store
from accord.benchmark.specs.resolved import Identity, ResolvedRun, resolve_run
from accord.benchmark.specs.run import CPU, RunSpec
from accord.benchmark.terminal import plain_console
from accord.envs.errors import UsageError
from accord.envs.plugins import import_files

Kind = Literal["optimum", "training", "run"]
LAUNCHERS = ("local", "ray", "slurm")


class Listener(Protocol):
    """Hears of runs, in the launching process. A training that several runs share is told to the first of them."""

    def begin(self, spec: RunSpec) -> None:
        """A run's training begins, or the run itself where its policy is there already or nothing is learned."""

    def train(self, spec: RunSpec, row: Row) -> None:
        """A row of the log of a run's training."""

    def end(self, record: Record) -> None:
        """A run is over."""


@dataclass
class Outcome:
    """What a launch did.

    Attributes:
        records: One per run that was asked for, old and new, in the order asked.
        fresh: How many of them were carried out now, by this launch.
    """

    records: list[Record] = field(default_factory=list)
    fresh: int = 0

    @property
    def failed(self) -> list[Record]:
        """Runs that ended by an error; one that reached a limit of time or memory is a result."""
        return [record for record in self.records if record.status == "failed"]


@dataclass(frozen=True)
class Planned:
    """One piece of work that is not done yet.

    Attributes:
        kind: Of the work.
        spec: The run, or the first of those that it is for.
        title: For people.
    """

    kind: Kind
    spec: RunSpec
    title: str


def launch(
    specs: Sequence[RunSpec],
    store: Store,
    *,
    jobs: int | None = None,
    console: Console | None = None,
    launcher: Launcher | None = None,
    listener: Listener | None = None,
    unlimited: bool = False,
    imports: Sequence[Path] = (),
) -> Outcome:
    """Carry out every run that the store does not hold yet.

    Failed ones are tried again, and those whose data, network or code changed are carried out anew. Several launches
    on one store, on this machine or others, divide the work: what another is at, this one waits for and then uses. What
    failed at another this one tries too.

    Args:
        specs: Runs.
        store: Where they are kept.
        jobs: Processes at a time; None for one per core.
        console: Where progress is shown.
        launcher: What carries the jobs out; processes on this machine by default, see `launcher_here`.
        listener: Hears of each run as it begins, trains and ends.
        unlimited: Trainings that are missing have no wall-clock limit.
        imports: Python files that the processes import first: they register what the specs name.

    Raises:
        UsageError: a file of the store cannot be read.
        OSError: the store's folder cannot be made.
        KeyboardInterrupt: after every process was stopped; what was finished or checkpointed stays.
        SystemExit: the same, where it was SIGTERM.
    """
    store.begin()
    console = console or plain_console(stderr=True)
    found = {spec.digest: store.load(spec) for spec in specs}
    runs = _missing(specs, found)
    here = _Here(store, console, listener, runs, found)
    if runs:
        work = (launcher or launcher_here(store.root, jobs, console)).work
        work(_plan(runs, store, unlimited, imports), here.ended, here.started, here.told)
    return Outcome([record for spec in specs if (record := found[spec.digest]) is not None], len(here.fresh))


def launcher_of(
    word: str,
    root: Place,
    console: Console,
    *,
    address: str | None = None,
    jobs: int | None = None,
    device: str = CPU,
    quiet: bool = False,
) -> Launcher:
    """What carries jobs out, by the words that people type.

    Args:
        word: local, ray or slurm.
        root: Where the store is, which every machine must see.
        console: Where progress is shown.
        address: Of a Ray cluster.
        jobs: At a time; None for what there is room for.
        device: One of this machine's GPUs by its number is the one that local processes are given; else they get any.
        quiet: Whoever launches says what ended.

    Raises:
        UsageError: another word, an address without Ray, what it needs is not here, or another machine would not see
            the store.
    """
    if word not in LAUNCHERS:
        raise UsageError(f"--launcher: unknown launcher '{word}'; allowed: {', '.join(LAUNCHERS)}")
    if address is not None and word != "ray":
        raise UsageError("--address: only with --launcher ray")
    if word != "local" and is_private(root):
        raise UsageError(f"--root '{root}': no other process sees it; allowed with it: --launcher local")
    if word == "ray":
        from accord.benchmark.launch.ray_cluster import RayLauncher

        return RayLauncher(root, jobs, console, address=address, quiet=quiet)
    if word == "slurm":
        from accord.benchmark.launch.slurm import SlurmLauncher

        return SlurmLauncher(root, jobs, console, quiet=quiet)
    number = device.partition(":")[2]
    return launcher_here(root, jobs, console, gpus=[int(number)] if number else None, quiet=quiet)


def planned(specs: Sequence[RunSpec], store: Store) -> list[Planned]:
    """What `launch` would do: optima and trainings that are missing, each once, and the runs, in its order."""
    runs = _missing(specs, {spec.digest: store.load(spec) for spec in specs})
    kinds: dict[Work, Kind] = {_compare: "optimum", _train: "training", _run: "run"}
    return [Planned(kinds[job.work], RunSpec(**job.data["spec"]), job.title) for job in _plan(runs, store, False, ())]


@dataclass(frozen=True)
class _Here:
    """What the launching process does while jobs are carried out: keeps records, says what failed, tells a listener."""

    store: Store
    console: Console
    listener: Listener | None
    runs: Mapping[str, ResolvedRun]
    found: dict[str, Record | None]
    fresh: set[str] = field(default_factory=set)  # digests of the runs that were carried out by this launch

    def started(self, job: Job) -> None:
        if self.listener is not None and job.work is not _compare:
            self.listener.begin(RunSpec(**job.data["spec"]))

    def told(self, job: Job, row: Row) -> None:
        if self.listener is not None:
            self.listener.train(RunSpec(**job.data["spec"]), row)

    def ended(self, over: Ended) -> None:
        run = self.runs.get(over.job.name)
        if run is None:
            return
        record = None if over.fault else self.store.load(run.spec)
        if record is None:
            record = self.store.save(ended_badly(run, *(over.fault or ("failed", "the process left no record"))), {})
        self.found[run.spec.digest] = record
        if record.status != "done":
            text = f"{record.status}: {record.spec.label}: {record.error}"
            self.console.print(text, markup=False, emoji=False, highlight=False, style="red", soft_wrap=True)
        if not (over.fault or over.value):
            return  # another launch has carried it out, and tells a listener of its own
        self.fresh.add(run.spec.digest)
        if self.listener is not None:
            self.listener.end(record)


def _missing(specs: Sequence[RunSpec], found: Mapping[str, Record | None]) -> dict[str, ResolvedRun]:
    """The runs whose record is missing, failed or of other code, data or network than is here, by the name of a job."""
    runs: dict[str, ResolvedRun] = {}
    for spec in specs:
        run, kept = identify(resolve_run(spec)), found[spec.digest]
        if kept is None or not holds(kept, run):
            runs[f"run {spec.digest}"] = run
    return runs


def _plan(runs: Mapping[str, ResolvedRun], store: Store, unlimited: bool, imports: Sequence[Path]) -> list[Job]:
    """Jobs in order: optima and trainings that are missing, each once, and every run right after what it needs."""
    jobs: dict[str, Job] = {}
    untrained = {
        name
        for name, run in runs.items()
        if run.policy and run.spec.effort and store.policy(policy_here(run)).finished() is None
    }
    # Trainings are the longest: what needs one starts first.
    for name, run in sorted(runs.items(), key=lambda item: item[0] not in untrained):
        needs, spec = [], run.spec
        assert run.identity is not None
        data = {"spec": spec.model_dump(mode="json"), "root": str(store.root.absolute()), "unlimited": unlimited}
        data["identity"] = run.identity.model_dump()
        if name in untrained:
            assert spec.effort is not None
            needs.append(f"policy {policy_here(run)}")
            title = f"train {spec.method} seed {spec.seed}"
            look = _look(store, policy_lease(run), store.policy(policy_here(run)).finished)
            jobs.setdefault(
                needs[-1],
                Job(
                    needs[-1],
                    title,
                    _train,
                    data,
                    total=spec.effort.steps,
                    room=_room(spec),
                    seconds=0.0 if unlimited else spec.effort.seconds,
                    loads=TRAINING,
                    look=look,
                ),
            )
        for hours, scenario in compared_on(run).items():
            if store.load_context(scenario) is None:
                needs.append(f"{hours} {sorted(scenario.comparison_key.items())}")
                title = f"linear programme {spec.scenario}, {hours} hours"
                look = _look(store, context_lease(scenario), partial(store.load_context, scenario))
                jobs.setdefault(needs[-1], Job(needs[-1], title, _compare, {**data, "hours": hours}, look=look))
        look = _look(store, run_lease(run), partial(held, run, store))
        jobs[name] = Job(name, spec.label, _run, data, tuple(needs), room=_room(spec), look=look)
    common = {"code": known_digests(), "imports": [str(file.absolute()) for file in imports]}
    return [replace(job, data={**job.data, **common}) for job in jobs.values()]


def _room(spec: RunSpec) -> Room:
    """What a run asks for; a GPU where it is computed on one."""
    asked = spec.resources
    gpus = 0.0 if spec.device == CPU else asked.gpus or 1.0
    return Room(asked.cpus, gpus, asked.memory or 0)


def _look(store: Store, lease: str, load: Callable[[], Any]) -> Callable[[], State]:
    """See `Job.look`: who has the lease of the work, and whether what it leaves can be loaded."""

    def look() -> State:
        if store.leases.taken(lease):
            return "taken"
        return "free" if load() is None else "done"

    return look


def _compare(data: Mapping[str, Any], tell: Tell) -> None:
    run, store = _given(data)
    prepare_context(compared_on(run)[data["hours"]], store, wait=False)


def _train(data: Mapping[str, Any], tell: Tell) -> None:
    prepare_policy(*_given(data), lambda row: tell(row["steps"], row), unlimited=data["unlimited"], wait=False)


def _run(data: Mapping[str, Any], tell: Tell) -> bool:
    """Whether the run was carried out, and not found done."""
    return carry_out(*_given(data), wait=False)[1]


def _given(data: Mapping[str, Any]) -> tuple[ResolvedRun, Store]:
    import_files([Path(file) for file in data["imports"]])
    take_digests(data["code"])
    run, launched = identify(resolve_run(RunSpec(**data["spec"]))), Identity(**data["identity"])
    assert run.identity is not None
    # Where nobody can say what runs, the jobs of a run have one name at least; a digest that the launching process
    # could work out may be of other code than runs here.
    if not (is_readable(run.identity) or is_readable(launched)):
        run = replace(run, identity=launched)
    return run, Store(place_from(data["root"]))
