"""Which studies are made of which runs of a suite of multi-resource allocation; finished ones are kept.

Most of their time is the expert's with thirty and fifty agents; they are made in a process per core.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from accord.benchmark.machine import one_thread
from accord.benchmark.performance.cells import digest_of_code
from accord.benchmark.records.record import write_file
from accord.benchmark.records.store import Store, training_digest
from accord.benchmark.specs.suite import RunSpec, Suite, digest_of
from accord.benchmark.studies.policies import Row, contraction, expert, gap, reassignment
from accord.envs.allocation.dynamics import parse
from accord.envs.errors import UsageError

STUDIED = "allocation_10x2/radius-1/steady"  # whose policies are looked into, and carried elsewhere
TRAINED_THERE = "trained_there"  # the variant that says what is lost by carrying them
CHANGES = ("jumps", "failures")
SEEDS = 3  # of what has no randomness, in the study of changes
STUDIES: dict[str, Callable[[RunSpec, Store], list[Row]]] = {
    "contraction": contraction,
    "gap": gap,
    "expert": expert,
    "reassignment": reassignment,
}
Piece = tuple[str, RunSpec]  # a study of a run
Tables = dict[str, pd.DataFrame]


def run_studies(suite: Suite, store: Store, tell: Callable[[str], None], *, jobs: int | None = None) -> Tables:
    """Make the studies of a suite's policies that the store does not hold, and read all of them.

    Args:
        suite: Whose runs are looked into.
        store: Where they lie; finished studies are kept in its folder `studies`, until a source file changes.
        tell: Hears of every study that is finished.
        jobs: Processes at a time, 1 for this one; None for one per core.

    Returns:
        Tables `contraction`, `gap` and `reassignment`.

    Raises:
        UsageError: a policy is missing.
    """
    pieces = list(_pieces(suite.runs(), suite.subject))
    for _, spec in pieces:
        if spec.effort is not None and store.policy(training_digest(spec)).finished() is None:
            raise UsageError(f"{spec.label}: no policy under {store.root}/; first: accord run {suite.name}")
    missing = [(study, spec, store.root) for study, spec in pieces if not _kept(store.root, study, spec).exists()]
    with _made(missing, jobs or os.cpu_count() or 1) as done:
        for count, line in enumerate(done, 1):
            tell(f"{count} of {len(missing)} studies; {line}")
    rows: dict[str, list[Row]] = {study: [] for study in STUDIES}
    for study, spec in pieces:
        names = {"scenario": spec.scenario, "method": spec.method, "variant": spec.variant, "seed": spec.seed}
        rows[study] += [names | row for row in json.loads(_kept(store.root, study, spec).read_text())]
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


@contextmanager
def _made(missing: Sequence[tuple[str, RunSpec, Path]], jobs: int) -> Iterator[Iterable[str]]:
    """A line for each as it is finished."""
    if jobs == 1 or len(missing) < 2:
        yield map(_make, missing)
        return
    with mp.get_context("forkserver").Pool(jobs, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        yield pool.imap_unordered(_make, missing)


def _make(piece: tuple[str, RunSpec, Path]) -> str:
    study, spec, root = piece
    with one_thread():
        rows = STUDIES[study](spec, Store(root))
    write_file(_kept(root, study, spec), json.dumps(rows).encode())
    return f"{study}: {spec.label}"


def _kept(root: Path, study: str, spec: RunSpec) -> Path:
    what = {"study": study, "spec": spec.digest, "code": digest_of_code()}
    return root / "studies" / f"{digest_of(what)}.json"
