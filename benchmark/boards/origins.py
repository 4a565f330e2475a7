"""What the numbers of a leaderboard rest on: how many trainings, which code, which machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from accord.benchmark.records.provenance import CHANGED
from accord.benchmark.records.record import Record
from accord.benchmark.specs.run import CPU

SHORT = 7  # characters of a revision


def trainings(records: Iterable[Record], once: Iterable[Record]) -> str:
    """How many trainings the learned runs rest on; empty where nothing is learned.

    Args:
        records: All runs.
        once: The same, but runs that are equal on several networks once.
    """
    policies = [record.policy_name or record.policy for record in once if record.policy]
    if not policies:
        return ""
    distinct, equal = len(set(policies)), sum(1 for record in records if record.policy) > len(policies)
    runs = "1 learned run" if len(policies) == 1 else f"{len(policies):,} learned runs"
    counted = ", those that are equal on several networks counted once," if equal else ""
    rest = f"{'rests' if len(policies) == 1 else 'rest'} on {distinct:,} {'training' if distinct == 1 else 'trainings'}"
    warning = "" if distinct == len(policies) else ": runs of one training in several scenarios are not independent"
    return f"{runs}{counted} {rest}{warning}."


def made_by(records: Sequence[Record]) -> str:
    """How many versions of the code, kinds of processor and versions of torch made runs and policies."""
    made = [record.provenance for record in records]
    revisions = {p.git_revision for p in made} | {r.policy_revision for r in records if r.policy_revision}
    processors = sorted({f"{p.cpu} {p.instructions}" for p in made})
    torch = sorted({p.packages.get("torch", "unknown") for p in made})
    if len(revisions) == 1:
        (revision,) = revisions
        changes = " with changes that are in no revision" if CHANGED in revision else ""
        code = f"one version of the code ({revision[:SHORT]}{changes})"
    else:
        changed = sum(CHANGED in revision for revision in revisions)
        changes = f" ({changed} of them with changes that are in no revision)" if changed else ""
        code = f"{len(revisions)} versions of the code{changes}"
    kinds = "one kind" if len(processors) == 1 else f"{len(processors)} kinds"
    libraries = f"torch {torch[0]}" if len(torch) == 1 else f"{len(torch)} versions of torch ({', '.join(torch)})"
    made_on = f"Made by {code} on {kinds} of processor ({', '.join(processors)}) with {libraries}."
    return f"{made_on} {_on_gpus(records)}".strip()


def _on_gpus(records: Sequence[Record]) -> str:
    """How many runs a GPU computed; empty where none."""
    there = [record for record in records if record.spec.device != CPU]
    if not there:
        return ""
    names = ", ".join(sorted({record.provenance.gpu or "unknown" for record in there}))
    verb, rest = "was" if len(there) == 1 else "were", len(records) - len(there)
    others = f", the other {rest:,} on processors; between the two numbers differ by rounding" if rest else ""
    return f"{len(there):,} of {len(records):,} runs {verb} computed on a GPU ({names}){others}."


def stale_runs(stale: int, runs: int) -> tuple[str, ...]:
    """A sentence on runs that are no longer what they would be now; none without them."""
    if not stale:
        return ()
    verb = "is" if stale == 1 else "are"
    return (f"STALE: {stale} of {runs} runs {verb} of other code, data or network than is here; `accord run` again.",)
