"""Which studies are made of which runs of a suite of multi-resource allocation; finished ones are kept.

Most of their time is the expert's with thirty and fifty agents; they are made in a process per core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from accord.benchmark.launch.jobs import Ended, Job, Launcher, Tell
from accord.benchmark.machine import one_thread
from accord.benchmark.places import Place, place_from
from accord.benchmark.records.files import write_file
from accord.benchmark.records.identity import policy_here
from accord.benchmark.records.provenance import digest_of_sources
from accord.benchmark.records.sealed import open_kept, seal_json
from accord.benchmark.records.store import Store
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.resolved import ResolvedRun, resolve_run
from accord.benchmark.specs.run import RunSpec, digest_of
from accord.benchmark.specs.suite import Suite
from accord.benchmark.studies.contraction import contraction
from accord.benchmark.studies.gap import expert, gap
from accord.benchmark.studies.policies import Row
from accord.benchmark.studies.reassignment import reassignment
from accord.envs.allocation.scenario import parse
from accord.envs.errors import UsageError

STUDIED = "allocation_10x2/radius-1/steady"  # whose policies are looked into, and carried elsewhere
TRAINED_THERE = "trained_there"  # the variant that says what is lost by carrying them
CHANGES = ("jumps", "failures")
SEEDS = 3  # of what has no randomness, in the study of changes
STUDIES: dict[str, Callable[[ResolvedRun, Store], list[Row]]] = {
    "contraction": contraction,
    "gap": gap,
    "expert": expert,
    "reassignment": reassignment,
}
Piece = tuple[str, RunSpec]  # a study of a run
Tables = dict[str, pd.DataFrame]


def run_studies(suite: Suite, store: Store, tell: Callable[[str], None], launcher: Launcher) -> Tables:
    """Make the studies of a suite's policies that the store does not hold, and read all of them.

    Args:
        suite: Whose runs are looked into.
        store: Where they lie; finished studies are kept in its folder `studies`, until a source file changes.
        tell: Hears of every study that is finished.
        launcher: What carries them out.

    Returns:
        Tables `contraction`, `gap` and `reassignment`.

    Raises:
        UsageError: a policy is missing, or a study failed.
    """
    pieces = list(_pieces(runs_of(suite), suite.subject))
    for _, spec in pieces:
        if spec.effort is not None and store.policy(policy_here(resolve_run(spec))).finished() is None:
            raise UsageError(f"{spec.label}: no policy under {store.root}/; first: accord run {suite.name}")
    missing = [(study, spec) for study, spec in pieces if _kept(store.root, study, spec) is None]
    store.begin()
    todo = [_job(study, spec, store) for study, spec in missing]
    ended = list[Ended]()

    def on_end(over: Ended) -> None:
        ended.append(over)
        how = f": {over.fault[0]}: {over.fault[1]}" if over.fault else ""
        tell(f"{len(ended)} of {len(todo)} studies; {over.job.title}{how}")

    if todo:
        launcher.work(todo, on_end)
    if failed := [over for over in ended if over.fault]:
        raise UsageError(f"{len(failed)} of {len(todo)} studies failed, the first of them {failed[0].job.title}")
    rows: dict[str, list[Row]] = {study: [] for study in STUDIES}
    for study, spec in pieces:
        names = {"scenario": spec.scenario, "method": spec.method, "variant": spec.variant, "seed": spec.seed}
        made = _kept(store.root, study, spec)
        if made is None:
            raise UsageError(f"the study {study} of {spec.label} was taken away; the same command makes it again")
        rows[study] += [names | row for row in made]
    # The expert's episodes are those of every variant.
    policies, experts = [row for row in rows["gap"] if row["as"] == "policy"], rows.pop("expert")
    rows["gap"] += [
        found | {"variant": row["variant"]}
        for row in policies
        for found in experts
        if (found["scenario"], found["seed"]) == (row["scenario"], row["seed"])
    ]
    return {study: pd.DataFrame(found) for study, found in rows.items()}


def acts_with_studied(spec: RunSpec) -> bool:
    """It acts with a policy of `STUDIED`."""
    return STUDIED in (spec.scenario, spec.trained_on)


def _pieces(specs: Sequence[RunSpec], subject: str) -> Iterator[Piece]:
    together = set[tuple[str, int]]()
    for spec in specs:
        if spec.method == subject and spec.scenario == STUDIED:
            yield "contraction", spec
        if spec.method == subject and (spec.variant == TRAINED_THERE or (not spec.variant and acts_with_studied(spec))):
            yield "gap", spec
            if (spec.scenario, spec.seed) not in together:
                together.add((spec.scenario, spec.seed))
                yield "expert", spec
        if parse(spec.scenario).variant in CHANGES and spec.method != "random":
            # What has no randomness has one run; its episodes are to be those of the others.
            seeds = [spec.seed] if spec.effort else sorted({s.seed for s in specs if s.scenario == spec.scenario})
            for seed in seeds[:SEEDS]:
                yield "reassignment", spec.model_copy(update={"seed": seed})


def _job(study: str, spec: RunSpec, store: Store) -> Job:
    data = {"study": study, "spec": spec.model_dump(mode="json"), "root": str(store.root.absolute())}
    return Job(f"{study} {spec.digest}", f"{study}: {spec.label}", _make, data)


def _make(data: Mapping[str, Any], tell: Tell) -> None:
    """A job: one study of one run."""
    spec, store = RunSpec(**data["spec"]), Store(place_from(data["root"]))
    with one_thread():
        rows = STUDIES[data["study"]](resolve_run(spec), store)
    path, of = _place(store.root, data["study"], spec)
    write_file(path, seal_json({**of, "rows": rows}))


def _kept(root: Place, study: str, spec: RunSpec) -> list[Row] | None:
    fields = open_kept(*_place(root, study, spec), "the study is made again")
    return None if fields is None else fields["rows"]


def _place(root: Place, study: str, spec: RunSpec) -> tuple[Place, dict[str, str]]:
    """The file of a study, and what it is of."""
    of = {"study": study, "spec": spec.digest, "code": digest_of_sources()}
    return root / "studies" / f"{digest_of(of)}.json", of
