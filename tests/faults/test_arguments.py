"""Words of the command line that are wrong: exit status 2 and a line that names them, and never a traceback."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, get_args, get_type_hints

import pytest
from helpers.cases import Draw
from helpers.command_line import call
from typer.models import OptionInfo

from accord.benchmark.cli.main import app
from accord.benchmark.cli.tools import store_app
from accord.benchmark.launch.queue import Queue
from accord.benchmark.performance import cells, profiling, scale_quality
from accord.benchmark.places import Place
from accord.benchmark.report import publish
from accord.benchmark.studies import film
from accord.benchmark.tuning import search


@dataclass(frozen=True)
class Option:
    """An option of a command, as its signature says.

    Attributes:
        word: As it is typed.
        kind: What it takes; bool for one that takes nothing.
        low, high: Ends of a number.
    """

    word: str
    kind: type
    low: float | None
    high: float | None


def options_of(command: Callable[..., Any]) -> list[Option]:
    found = []
    for name, hint in get_type_hints(command, include_extras=True).items():
        info = next((part for part in getattr(hint, "__metadata__", ()) if isinstance(part, OptionInfo)), None)
        if info is None or name == "imports":
            continue
        given = (get_args(hint)[0], *get_args(get_args(hint)[0]))
        kinds = [Path if kind is Place else kind for kind in given if kind in (bool, int, float, Path, Place)]
        words = [word for word in info.param_decls or () if word.startswith("--")]
        word = words[0] if words else f"--{name.replace('_', '-')}"
        found.append(Option(word, kinds[0] if kinds else str, info.min, info.max))
    return found


def commands() -> Iterator[tuple[str, list[Option]]]:
    """Names of commands, and their options."""
    for before, group in (("", app), ("store ", store_app)):
        for entry in group.registered_commands:
            assert entry.callback is not None
            name = entry.name or entry.callback.__name__.replace("_", "-")
            yield f"{before}{name}", options_of(entry.callback)


COMMANDS = dict(commands())
# Of each command words that are right; the others have none, or begin with options.
RIGHT: dict[str, Sequence[str]] = {
    **dict.fromkeys(("run", "report", "publish", "reproduce"), ("tiny.yaml",)),
    "evaluate": ("policy.py:policy", "--scenario", "synthetic_7-week/ring/average-0.4"),
    "buildings": ("tiny.yaml", "--methods", "random"),
    "show": ("{digest}",),
    "settings": ("serve_now",),
    "audit": ("serve_now",),
    "profile": ("rule_based",),
    "film": ("lgtc-ippo", "allocation_10x2/radius-1/jumps"),
    "tune": ("--search", "core"),
    "new-district": ("own",),
    **{"store export": ("runs.tar",), "store import": ("runs.tar",)},
}
NUMBERS = (
    *(
        "0",
        "-1",
        "1",
        "2",
        "1.5",
        "nan",
        "inf",
        "-inf",
        "1e3",
        "1e309",
        "9" * 5000,
        "0x1",
        "+1",
        "01",
        "two",
        "1,2",
        "-0",
    ),
    *("9223372036854775807", "9223372036854775808", "１", "½", "1e-400", "0.1", "None", "true", "[1]", "=1", "1 2"),
)
PATHS = (
    *("nowhere", "nowhere.yaml", "tiny.yaml", "/dev/null", "x" * 300, "no/such/folder", "runs", "results", ".", "~"),
    *("\udcff", "with\nline", "policy.py", "policy.py:policy", "empty.yaml", "list.yaml", "runs/records", "a" * 5000),
    *("memory://x", "nothing://x", "s3://", "memory://a::b", "file://nowhere", "x://u:p@y"),
)
TEXTS = (
    *(
        "nope",
        "consensus-gosip",
        ",",
        " , ",
        "serve_now,,random",
        "[red]",
        "x" * 3000,
        "é",
        "\x1b[31m",
        "a\nb",
        "\udcff",
    ),
    *(
        "-",
        "--",
        "serve_now",
        "serve_now,serve_now",
        "synthetic_7-week",
        "average-0.4",
        "md",
        "csv",
        "=",
        "a=b",
        "a=b=c",
    ),
    *(
        "ppo.lr=1e-3",
        "ppo.lr=[",
        "ppo.lr",
        "ppo.lr=1e999",
        "ppo.lr=",
        "oracle=LP",
        "0,1",
        "1,-2",
        "objective",
        "{}",
        "'",
    ),
    *(
        "ppo.epochs=!!int a",
        "ppo.lr=2001-13-45",
        "ppo.lr=" + "[" * 2000,
        "*",
        "%s",
        "{x}",
        "tiny",
        "core",
        "cpu",
        "disabled",
    ),
)


class Begun(BaseException):
    """The command was accepted: what it begins takes long."""


@pytest.fixture
def folder(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the sweep, where nothing that takes long is begun."""

    def begin(*words: Any, **options: Any) -> None:
        raise Begun

    for place, name in (
        *((Queue, "work"), (cells, "_watched"), (profiling, "profile"), (film, "film_episode")),
        *((search, "prepare_context"), (scale_quality, "prepare_context")),
    ):
        monkeypatch.setattr(place, name, begin)
    monkeypatch.setattr(publish, "is_uncommitted", lambda record: False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("HOME", str(sweep))
    (sweep / "policy.py").write_text("def policy(observations):\n    return observations[:, :2] * 0 + 1\n")
    (sweep / "empty.yaml").write_text("")
    (sweep / "list.yaml").write_text("[1, 2]")
    monkeypatch.chdir(sweep)
    return sweep


def value_for(option: Option, generator: Random) -> str:
    """Something that somebody might type there."""
    pools = {int: NUMBERS, float: NUMBERS, Path: PATHS}
    return generator.choice(pools.get(option.kind, (*TEXTS, *PATHS, *NUMBERS)))


def is_wrong(option: Option, value: str) -> bool:
    """It is certainly no value of this option: empty, or no number in its range."""
    if option.kind not in (int, float):
        return not value.strip(" ,")
    try:
        number = option.kind(value)
    except ValueError:
        return True
    below, above = (end is not None and (end - number) * sign > 0 for end, sign in ((option.low, 1), (option.high, -1)))
    return number != number or below or above


def typed(name: str, digest: str, generator: Random) -> tuple[list[str], str]:
    """Words of a command with one slip, and what is certainly wrong with them; empty where they may mean something."""
    words, options = [word.replace("{digest}", digest) for word in RIGHT.get(name, ())], COMMANDS[name]
    kind = generator.choice(("value", "value", "value", "word", "unknown", "gone", "more", "flag"))
    taking = [option for option in options if option.kind is not bool]
    if kind == "value" and taking:
        option = generator.choice(taking)
        value = value_for(option, generator)
        joined = value.startswith("-") or generator.random() < 0.5
        words += [f"{option.word}={value}"] if joined else [option.word, value]
        return words, value if is_wrong(option, value) else ""
    if kind == "word" and words:
        words[0] = generator.choice((*TEXTS, *PATHS))
        return words, ""
    if kind == "unknown":
        slip = generator.choice(("--jbos", "--no-such", "-z", "--Seeds", "--root-folder=1"))
        return [*words, slip], slip.partition("=")[0]
    if kind == "gone" and words:
        return words[:-1], ""
    if kind == "more":
        return [*words, "one", "two", "three", "four", "five"], "five"
    if kind == "flag" and options:
        option = generator.choice(options)
        return [*words, option.word], "" if option.kind is bool else option.word
    return words, ""


def test_wrong_words_are_named_and_exit_with_status_2(
    draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    digest = next((folder / "runs" / "records").iterdir()).name
    for case, generator in draw("command lines", 600):
        name = generator.choice(list(COMMANDS))
        words, slip = typed(name, digest, generator)
        if name == "run":
            words.append("--dry-run")
        said = f"{case}: accord {name} {' '.join(words)!a}"[:300]
        try:
            status, _, told = call(monkeypatch, capsys, *name.split(), *words)
        except Begun:
            status, told = 0, ""
        except Exception as fault:
            wrong.append(f"{said}: {type(fault).__name__}: {fault}"[:600])
            continue
        lines = [line for line in told.splitlines() if line.strip()]
        if status not in (0, 1, 2) or (slip and status != 2):
            wrong.append(f"{said}: exit status {status} {lines[-1:]}"[:600])
        elif status == 2 and lines and lines[0].startswith("error") and len(lines) != 1:
            wrong.append(f"{said}: {len(lines)} lines: {told}"[:600])
        elif status == 2 and not lines:
            wrong.append(f"{said}: nothing is said")
    assert not wrong, "\n".join(wrong)
