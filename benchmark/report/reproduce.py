"""Do published results come out again? Compares reruns with what is published.

On the same kind of machine every metric is the same, to rounding. On another one, and on any GPU, training goes another
way, as with another seed, so there is one test per row: the verdict is one of the published seeds', and the score
(objective or return) lies in the interval that the published seeds predict a new one in.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

from accord.baselines.registry import has_randomness
from accord.benchmark.evaluation.context import Value
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.launch.replay import HARDWARE
from accord.benchmark.places import SCRATCH
from accord.benchmark.records.provenance import Provenance, provenance_here
from accord.benchmark.records.record import Record
from accord.benchmark.records.setups import setup_of
from accord.benchmark.specs.run import CPU, digest_of
from accord.envs.catalogue import is_episodic

# A row of another kind of machine fails by chance this often, where scores are normal.
CHANCE = 0.01
FEWEST = 3  # published seeds of a method with randomness that predict another
# Linear programmes and eigenvalues: their libraries pick instructions by the processor, finer than its name says.
ROUNDING = 1e-12


CLOCKED = frozenset(name for name, entry in METRICS.items() if entry.clocked)


@dataclass(frozen=True)
class Difference:
    """What a rerun says otherwise.

    Attributes:
        name: A metric, or `status`.
        published: What `results/` says.
        again: What the rerun says.
    """

    name: str
    published: Value
    again: Value


@dataclass(frozen=True)
class Rerun:
    """How a rerun compares with what is published.

    Attributes:
        held: It reproduces.
        how: In words: by which test, and what it found.
        differences: What does not agree: metrics on the same kind of machine, what the test is about elsewhere.
    """

    held: bool
    how: str
    differences: tuple[Difference, ...] = ()


def compare(published: Record, again: Record, seeds: Sequence[Record]) -> Rerun:
    """Whether a rerun reproduces a published row.

    Args:
        published: The published record.
        again: Its rerun.
        seeds: The published records of all seeds of its set-up.
    """
    strict = _bit_for_bit(published, again)
    if published.spec.device != CPU:
        kind = f"a GPU, which does not sum in one order (published on {kind_of(published.provenance)})"
    elif published.provenance.same_class(again.provenance):
        return strict
    else:
        kind = f"another kind of machine (published on {kind_of(published.provenance)})"
    if strict.held:
        return Rerun(True, f"{strict.how} on {kind}")
    return _elsewhere(published, again, seeds, kind)


def _bit_for_bit(published: Record, again: Record) -> Rerun:
    unknown = {name for name in published.metrics if name not in METRICS and name not in again.metrics}
    others = sorted(name for name in unknown if not _blank(published.metrics[name]))
    names = [name for name in published.metrics if name not in unknown | CLOCKED]
    pairs = [Difference("status", published.status, again.status)]
    if published.status == "failed":
        pairs.append(Difference("error", published.error, again.error))
    pairs += [Difference(name, published.metrics[name], again.metrics.get(name)) for name in names]
    wrong = tuple(pair for pair in pairs if not _same(pair.published, pair.again))
    how = f"{len(pairs) - len(wrong)} identical" + (f", {len(wrong)} different" if wrong else "")
    return Rerun(not wrong, how + (f"; nobody here measures {', '.join(others)}" if others else ""), wrong)


def _elsewhere(published: Record, again: Record, seeds: Sequence[Record], kind: str) -> Rerun:
    if published.status != again.status:
        return Rerun(False, kind, (Difference("status", published.status, again.status),))
    verdicts = {record.metrics.get("verdict") for record in seeds}
    word = again.metrics.get("verdict")
    score = "episode_return" if is_episodic(published.spec.scenario) else "objective"
    found = again.metrics.get(score)
    differences = []
    if word not in verdicts:
        differences.append(Difference("verdict", published.metrics.get("verdict"), word))
    span = predicted([record.metrics.get(score) for record in seeds])
    if len(seeds) < FEWEST and has_randomness(published.spec.method):
        within, how = isinstance(found, float), f"{kind}: {len(seeds)} seeds are too few to predict another"
    elif span is None or not isinstance(found, float):
        within = _blank(found) and _blank(published.metrics.get(score))
        how = f"{kind}: no {score}"
    else:
        within = span[0] <= found <= span[1]
        how = f"{kind}: {score} {found:.6g}, predicted {span[0]:.6g} to {span[1]:.6g}"
    if not within:
        differences.append(Difference(score, published.metrics.get(score), found))
    return Rerun(not differences, f"{how}, {word or 'no verdict'}", tuple(differences))


def predicted(scores: Sequence[Value]) -> tuple[float, float] | None:
    """Where one more seed's score lies with probability 1 - `CHANCE`; None where nothing was measured.

    The prediction interval of a normal sample, mean ± t·s·√(1 + 1/n), on each side at least `HARDWARE` of the mean, and
    that alone where there is one score.
    """
    numbers = np.array([value for value in scores if isinstance(value, float) and math.isfinite(value)])
    if not numbers.size:
        return None
    mean, n = float(numbers.mean()), numbers.size
    half = HARDWARE * abs(mean)
    if n > 1:
        spread = float(numbers.std(ddof=1)) * math.sqrt(1 + 1 / n)
        half = max(half, float(stats.t.ppf(1 - CHANCE / 2, n - 1)) * spread)
    return mean - half, mean + half


def report_rerun(published: Record, again: Record | str, everything: Sequence[Record], console: Console) -> bool:
    """Print how a rerun compares and what differs; whether it reproduces.

    Args:
        published: The published record.
        again: Its rerun, or why there is none.
        everything: The published records of the suite, for the other seeds.
        console: Where to print.
    """
    seeds = [record for record in everything if setup_of(record) == setup_of(published)]
    found = Rerun(False, again) if isinstance(again, str) else compare(published, again, seeds)
    suite = f"{published.spec.suite} " if published.spec.suite else ""
    line = f"{'ok' if found.held else 'NO'}  {suite}{published.spec.label}: {found.how}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    for item in found.differences:
        text = f"      {item.name}: {item.published} published, {item.again} now"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    return found.held


def kind_of(machine: Provenance) -> str:
    """A kind of machine in words."""
    return ", ".join(word for word in (machine.cpu, machine.instructions, machine.gpu) if word)


def rerun_folder() -> Path:
    """Reruns of one revision on one kind of machine go on where they stopped; others never find them."""
    here = provenance_here()
    made_on = digest_of([here.platform, here.cpu, here.cpu_model, here.instructions, here.gpu, here.packages])
    revision = here.git_revision
    folder = SCRATCH / "reproduce" / f"{revision[:12]}-{made_on[:6]}"
    if not revision.isalnum() or revision == "unknown":
        folder = folder.with_name("changed")
        shutil.rmtree(folder, ignore_errors=True)
    return folder


def _same(before: Value, after: Value) -> bool:
    if before == after or (_blank(before) and _blank(after)):
        return True
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return False


def _blank(value: Value) -> bool:
    """Not measured; tables keep a NaN as a blank."""
    return value is None or value != value
