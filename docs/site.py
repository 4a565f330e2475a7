"""Pages of the site that are made from the code and from `results/`, when the site is built.

A line `<!-- fields: ADDRESS -->` becomes the table of what a task shows; `<!-- settings -->`, `<!-- metrics -->` and
`<!-- columns -->` become the tables of their registries. Links into `results/` lead to copies in the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from accord.baselines import METHODS, REFERENCES
from accord.baselines.registry import Entry
from accord.benchmark.boards.columns import describe
from accord.benchmark.boards.leaderboard import TABLE_COLUMNS, runs_table
from accord.benchmark.evaluation.metrics import METRICS
from accord.benchmark.markdown import markdown_table
from accord.benchmark.specs.settings import settings_of
from accord.envs.catalogue import resolve
from accord.envs.task import Discrete, TaskSpec

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = "results/published"  # where the site shows what `results/` holds
SHOWN = (".md", ".png", ".csv", ".tex")
TABLE = re.compile(r"^<!-- (?P<what>fields|settings|metrics|columns)(?:: (?P<of>\S+))? -->$", re.M)
LINK = re.compile(r"\]\((?P<to>\.\./[^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is published, and a page of settings for every method."""
    for path in sorted((ROOT / "results").rglob("*")):
        if path.suffix in SHOWN:
            place = f"{PUBLISHED}/{path.relative_to(ROOT / 'results').as_posix()}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    for name, entry in METHODS.items():
        files.append(File.generated(config, f"reference/settings/{name}.md", content=_settings_page(name, entry)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the tables, and let links into `results/` lead to what the site shows of it."""
    here = posixpath.dirname(page.file.src_uri)

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(config.docs_dir, here, found["to"]))
        published = posixpath.relpath(target, ROOT / "results")
        if published.startswith(".."):
            return found[0]
        return f"]({posixpath.relpath(posixpath.join(PUBLISHED, published), here or '.')})"

    return LINK.sub(link, TABLE.sub(_table, markdown))


def _table(found: re.Match[str]) -> str:
    what, of = found["what"], found["of"]
    if what == "fields":
        return _fields(resolve(of).task().spec)
    if what == "settings":
        rows = [(f"[`{name}`]({name}.md)", entry.sees) for name, entry in sorted(METHODS.items())]
        rows += [(f"`{name}`", entry.summary) for name, entry in sorted(REFERENCES.items())]
        return _markdown(("method", "what it sees"), rows)
    if what == "metrics":
        return _markdown(
            ("metric", "unit", "better", "what it is"),
            [(f"`{m.name}`", m.unit, m.better, m.sentence) for m in METRICS.values()],
        )
    columns = TABLE_COLUMNS if of == "leaderboard.csv" else list(runs_table([]).columns)
    return _markdown(("column", "unit", "what it holds"), ((f"`{name}`", *rest) for name, *rest in describe(columns)))


def _fields(spec: TaskSpec) -> str:
    """What a task shows, takes and bounds."""
    action = spec.action
    takes = (
        f"one of {action.n}" if isinstance(action, Discrete) else f"{action.size} in [{action.low:g}, {action.high:g}]"
    )
    facts = [("agents", spec.n_agents), ("action of an agent", takes), ("steps of an episode", spec.horizon)]
    facts += [("width of the state", spec.state_dim), ("separable", "yes" if spec.separable else "no")]
    facts += [("budgets", ", ".join(f"`{b.name}`" for b in spec.budgets) or "none")]
    rows = [
        (
            f"`{name}`",
            f"{field.where.start}"
            if field.where.stop - field.where.start == 1
            else f"{field.where.start} to {field.where.stop - 1}",
            field.unit,
            field.scale,
        )
        for name, field in spec.obs_fields.items()
    ]
    parts = [_markdown(("", ""), facts), _markdown(("observation", "columns", "unit", "divided by"), rows)]
    if spec.units:
        parts.append(_markdown(("measure", "unit"), [(f"`{name}`", unit) for name, unit in spec.units.items()]))
    return "\n".join(parts)


def _settings_page(name: str, entry: Entry) -> str:
    rows = [(f"`{s.name}`", f"`{s.default}`", s.unit, s.allowed, s.meaning) for s in settings_of(name)]
    says = (entry.method.__doc__ or "").strip().partition("\n")[0]
    table = _markdown(("setting", "value", "unit", "allowed", "meaning"), rows) if rows else "It has no settings."
    return f"# {name}\n\n{says} It sees: {entry.sees}.\n\n{table}"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return markdown_table(head, [list(map(str, row)) for row in rows]) + "\n"
