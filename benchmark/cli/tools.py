"""Commands beside the suites of runs: searches, the audit of locality, the measurement of scale, a store's upkeep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.benchmark.cli.completion import method_name, method_names
from accord.benchmark.cli.options import (
    Address,
    Imports,
    Jobs,
    LauncherName,
    MethodName,
    OnDevice,
    Results,
    Root,
    Wandb,
    device_from,
    err,
    launcher_from,
    out,
    path_of,
    tell,
    tracking_mode,
    words_of,
)
from accord.benchmark.cli.printing import print_table
from accord.benchmark.places import RESULTS, SCRATCH, local_folder, place_from
from accord.envs.errors import UsageError

if TYPE_CHECKING:
    from accord.benchmark.performance.cells import Row


def tune(
    methods: Annotated[
        str,
        typer.Argument(help="Methods of the search, separated by commas; all by default.", autocompletion=method_names),
    ] = "",
    search: Annotated[
        str, typer.Option(help="Which search: a file in benchmark/searches, by the suite's name.")
    ] = "core",
    device: OnDevice = "cpu",
    jobs: Jobs = None,
    launcher: LauncherName = "local",
    address: Address = None,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Search for settings on training hours, going on where an earlier call stopped; see benchmark/searches/."""
    from accord.benchmark.records.store import Store
    from accord.benchmark.tuning.search import tune as run_search
    from accord.benchmark.tuning.space import load_search

    chosen = load_search(search).model_copy(update={"device": device_from(device, launcher)})
    run_search(
        chosen,
        words_of(methods) or list(chosen.methods),
        results / "tuning" / search,
        Store(root),
        launcher_from(launcher, address, jobs, root, device=device, quiet=True),
        tell,
    )


def audit(
    method: MethodName,
    scenario: Annotated[str, typer.Option(help="Address to audit on; by default seven buildings on a path.")] = "",
    imports: Imports = None,
) -> None:
    """Change one agent's numbers and see whose actions move, when, and how far along the graph.

    Where agents fail or lie by the scenario's address, the same is shown of their failing.
    """
    from accord.baselines.audit import SCENARIO, audit_method, spread_of_faults
    from accord.baselines.registry import METHODS, REFERENCES
    from accord.envs.catalogue import resolve

    if method in REFERENCES:
        raise UsageError(f"METHOD: '{method}' is a bound and does not act; allowed: {', '.join(sorted(METHODS))}")
    result = audit_method(method, address=scenario or SCENARIO)
    print_table(
        ["steps after the change", "hops reached", "hops allowed"],
        [
            [str(n), str(reached), str(allowed) if result.decentralised else "any"]
            for n, (reached, allowed) in enumerate(zip(result.reach, result.allowed, strict=True))
        ],
    )
    claim = "claims to be decentralised" if result.decentralised else "makes no claim"
    out.print(f"{method} {claim}: {result.verdict}", soft_wrap=True)
    if scenario and resolve(scenario).network().failing:
        spread = spread_of_faults(method, scenario)
        rows = zip(spread.hops, spread.agents, spread.allowed, strict=True)
        print_table(
            ["steps after they fail or lie", "hops reached", "others that act differently", "hops allowed"],
            [[str(n), *map(str, row)] for n, row in enumerate(rows)],
        )
    if not result.passed:
        raise typer.Exit(1)


def scale(
    lines: Annotated[str, typer.Argument(help="Lines of the suite, separated by commas; all by default.")] = "",
    agents: Annotated[str, typer.Option(help="These numbers of agents instead of the suite's, like 8,64.")] = "",
    seconds: Annotated[float | None, typer.Option(min=1, help="Limit per cell instead of the suite's.")] = None,
    memory: Annotated[float | None, typer.Option(min=0.1, help="Limit per cell in GiB instead of the suite's.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, or cuda where there is one; the report shows both.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Write the report to results/, whole lines.")] = False,
    published: Annotated[bool, typer.Option("--published", help="Measure nothing; print what --results has.")] = False,
    wandb: Wandb = None,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Measure cost and memory against the number of agents, going on where it stopped; see performance/scale.yaml.

    Cells stay on this machine, one at a time: a cluster's machines differ, and others may compute on them.
    """
    from accord.benchmark.performance.scale import load_scale, run_scale
    from accord.benchmark.performance.scale_report import (
        beside_published,
        cells,
        markdown,
        named_apart,
        published_cells,
        write_scale,
    )
    from accord.benchmark.records.store import Store
    from accord.benchmark.report.tracking import Tracker

    if published:
        if publish or lines or agents or seconds or memory or device:
            raise UsageError("--published: the report is printed as it is; leave out all but --results")
        table = published_cells(results / "scale")
        if not len(table):
            raise UsageError(f"nothing is published under {results / 'scale'}/; first: accord scale --publish")
        out.print(markdown(table), soft_wrap=True)
        return
    given = {"seconds": seconds, "memory_gib": memory}
    changed = {name: value for name, value in given.items() if value is not None}
    if publish and (agents or changed):
        raise UsageError("--publish: lines are published whole; leave out --agents and the limits")
    suite = load_scale().model_copy(update=changed | ({"device": device} if device else {}))
    device_from(suite.device)
    sizes = [_size(word) for word in words_of(agents)]
    tracker = Tracker(tracking_mode(wandb, root), Store(root))
    target = results / "scale" if publish else local_folder(root) / "reports" / "scale"
    rows = run_scale(suite, words_of(lines), sizes, root, tell)
    if publish:
        _check_busy(rows)
    part, table = publish and bool(lines), cells(rows)
    table = beside_published(named_apart(table, target) if part else table, target, whole=not part)
    files = write_scale(table, target)
    if any(row["fresh"] for row in rows):
        tracker.log_scale(rows, files)
    out.print(markdown(table), soft_wrap=True)
    err.print(f"{len(table)} cells; report in {target}/", soft_wrap=True)


def scale_quality(
    lines: Annotated[str, typer.Argument(help="Lines of the suite, separated by commas; all by default.")] = "",
    agents: Annotated[str, typer.Option(help="These numbers of agents instead of the suite's, like 4,8.")] = "",
    seconds: Annotated[float | None, typer.Option(min=1, help="Of training per cell instead of the suite's.")] = None,
    jobs: Jobs = None,
    publish: Annotated[bool, typer.Option("--publish", help="Write the whole suite's report to results/.")] = False,
    root: Root = SCRATCH,
    results: Results = RESULTS,
) -> None:
    """Seconds and samples until a policy is good, against the number of agents; see performance/scale_quality.yaml.

    Cells stay on this machine: a cluster's machines differ, and others may compute on them.
    """
    from accord.benchmark.performance.scale_quality import load_scale_quality, run_scale_quality
    from accord.benchmark.performance.scale_report import quality_markdown, write_scale_quality

    _only_whole(publish, lines, agents, seconds)
    suite, sizes = load_scale_quality(), [_size(word) for word in words_of(agents)]
    if seconds is not None:
        suite = suite.model_copy(update={"seconds": seconds})
    rows = run_scale_quality(
        suite,
        words_of(lines),
        sizes,
        jobs or 1,
        root,
        tell,
    )
    if publish:
        _check_busy(rows)
    target = results / "scale" if publish else local_folder(root) / "reports" / "scale"
    write_scale_quality(rows, target)
    out.print(quality_markdown(rows), soft_wrap=True)
    err.print(f"{len(rows)} cells; report in {target}/", soft_wrap=True)


def profile(
    method: Annotated[
        str, typer.Argument(help="A method's name, or a line of the suite `scale`.", autocompletion=method_name)
    ],
    agents: Annotated[int, typer.Option(min=2, help="Number of agents.")] = 64,
) -> None:
    """Where a method's time goes, in training and in execution: by stage and by function."""
    from accord.baselines.registry import METHODS, unknown_name
    from accord.benchmark.performance.profiling import profile as run_profile
    from accord.benchmark.performance.scale import Line, load_scale

    suite = load_scale()
    if method not in suite.lines and method not in METHODS:
        raise UsageError(f"METHOD: {unknown_name(method, suite.lines)}")
    run_profile(suite, suite.lines.get(method, Line(method=method)), agents, out)


def _only_whole(publish: bool, *changes: object) -> None:
    if publish and any(changes):
        raise UsageError("--publish: the suite is published whole; leave out LINES, --agents and the limits")


def _check_busy(rows: Sequence[Row]) -> None:
    from accord.benchmark.performance.cells import LEAST_SHARE, busy

    held_up = [f"{row['line']} at {row['n_agents']:,}" for row in rows if busy(row) < LEAST_SHARE]
    if held_up:
        raise UsageError(f"--publish: something else ran beside {', '.join(held_up)}; give the same command again")


def _size(word: str) -> int:
    if not word.isdecimal() or int(word) < 2:
        raise UsageError(f"--agents: '{word}' is not a number of agents; allowed: whole numbers from 2, like 8,64")
    return int(word)


store_app = typer.Typer(no_args_is_help=True, help="Check, clean, export and import scratch runs.")
Archive = Annotated[
    Path, typer.Argument(help="A tar archive on this machine.", metavar="ARCHIVE", parser=place_from, callback=path_of)
]


@store_app.command()
def check(root: Root = SCRATCH, results: Results = RESULTS) -> None:
    """Hold every file against its digest, published ones too; exit status 1 if one is not what was written there."""
    from accord.benchmark.records.published import changed
    from accord.benchmark.records.upkeep import faults

    found = list(faults(root))
    published = list(changed(results))
    for line in found:
        out.print(line, soft_wrap=True)
    if found:
        out.print(f"{len(found)} damaged under {root}/; accord run carries out again what they were of", soft_wrap=True)
    for line in published:
        out.print(line, soft_wrap=True)
    if found or published:
        raise typer.Exit(1)
    out.print(f"nothing is damaged under {root}/ and {results}/", soft_wrap=True)


@store_app.command()
def gc(root: Root = SCRATCH) -> None:
    """Remove what interrupted writes and dead processes left a day ago or earlier, and what was set aside."""
    from accord.benchmark.records.files import remove
    from accord.benchmark.records.upkeep import litter

    found = litter(root)
    for place in found:
        remove(place)
    out.print(f"{len(found)} removed under {root}/", soft_wrap=True)


@store_app.command()
def export(
    archive: Archive,
    suite: Annotated[str, typer.Option(help="Of this suite alone.")] = "",
    root: Root = SCRATCH,
) -> None:
    """Write runs, their policies and what they are compared with, as a tar archive."""
    from accord.benchmark.records.store import Store
    from accord.benchmark.records.upkeep import export as write

    count = write(Store(root), suite, archive)
    out.print(f"{count} runs in {archive}", soft_wrap=True)


@store_app.command(name="import")
def take(archive: Archive, root: Root = SCRATCH) -> None:
    """Add the runs of an archive that export wrote; what is there already stays."""
    from accord.benchmark.records.store import Store
    from accord.benchmark.records.upkeep import take_in

    added, stayed = take_in(Store(root), archive)
    out.print(f"{added} files added under {root}/, {stayed} were there", soft_wrap=True)
