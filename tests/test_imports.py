"""The house: what a room may import of ours, no circle, no module by two names, rooms and files of a size to read."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("envs", "baselines", "benchmark")
MOST_FILES, MOST_LINES, LONGEST_FUNCTION = 14, 350, 60

CONTRACT = ("envs.errors", "envs.spelling", "envs.task", "envs.checks", "envs.network", "envs.scenario")
BASE = (*CONTRACT, "baselines.base", "baselines.registry", "baselines.rollout")
LEARNING = (*BASE, "baselines.multipliers", "baselines.training", "envs.multipliers", "envs.districts.district")
HARNESS = ("benchmark.specs", "benchmark.evaluation", "benchmark.records")
RECORDS = ("envs", *BASE, "benchmark.seeding", "benchmark.places", "benchmark.processes", "benchmark.urls", *HARNESS)
LAUNCH = (*RECORDS, "benchmark.launch", "benchmark.forked", "benchmark.machine", "benchmark.terminal")
FIGURES = (*LAUNCH, "benchmark.figures", "benchmark.statistics")

# Of each room, and of each file at the root of a package, the rooms and files that it may import beside itself.
ROOMS: dict[str, tuple[str, ...]] = {
    "envs.errors": (),
    "envs.spelling": ("envs.errors",),
    "envs.files": (),
    "envs.plugins": ("envs.errors",),
    "envs.task": ("envs.errors",),
    "envs.checks": ("envs.errors", "envs.task"),
    "envs.multipliers": ("envs.task",),
    "envs.network": ("envs.errors", "envs.spelling"),
    "envs.scenario": ("envs.errors", "envs.task", "envs.network"),
    "envs.districts": ("envs.errors", "envs.files", "envs.plugins"),
    "envs.optimum": ("envs.errors", "envs.task", "envs.districts"),
    "envs.demand_response": (*CONTRACT, "envs.districts", "envs.optimum"),
    "envs.allocation": CONTRACT,
    "envs.toy": CONTRACT,
    "envs.wrappers": ("envs.errors", "envs.task", "envs.checks", "envs.multipliers"),
    "envs.third_party": (*CONTRACT, "envs.wrappers", "envs.districts", "envs.demand_response"),
    "envs.catalogue": (
        *CONTRACT,
        "envs.files",
        "envs.plugins",
        "envs.districts",
        "envs.allocation",
        "envs.demand_response",
        "envs.third_party",
        "envs.toy",
    ),
    "envs.testing": ("envs",),
    "envs.__init__": ("envs",),
    "baselines.base": CONTRACT,
    "baselines.registry": ("envs.errors", "envs.plugins", "baselines.base"),
    "baselines.rollout": (*CONTRACT, "baselines.base"),
    "baselines.network_controller": ("baselines.base", "envs.task"),
    "baselines.audit": ("envs", *BASE),
    "baselines.testing": ("envs", *BASE, "baselines.audit"),
    "baselines.multipliers": (*BASE, "envs.multipliers", "envs.districts.district"),
    "baselines.training": LEARNING,
    "baselines.consensus": (*LEARNING, "envs.demand_response", "envs.districts"),
    "baselines.learners": (*LEARNING, "envs.wrappers"),
    "baselines.lgtc": (*LEARNING, "baselines.learners", "envs.allocation"),
    "baselines.control": (
        *LEARNING,
        "envs.demand_response",
        "envs.allocation",
        "envs.optimum",
        "envs.plugins",
        "envs.toy",
    ),
    "baselines.__init__": ("baselines",),
    "benchmark.forked": (),
    "benchmark.seeding": (),
    "benchmark.machine": (),
    "benchmark.markdown": (),
    "benchmark.urls": ("envs.errors",),
    "benchmark.places": ("envs.errors", "benchmark.urls"),
    "benchmark.processes": (),
    "benchmark.terminal": (),
    "benchmark.statistics": (),
    "benchmark.index": ("envs", "baselines", *HARNESS),
    "benchmark.suites": (),
    "benchmark.searches": (),
    "benchmark.specs": ("envs", *BASE, "benchmark.places"),
    "benchmark.evaluation": ("envs", *BASE, "benchmark.machine"),
    "benchmark.records": RECORDS,
    "benchmark.launch": LAUNCH,
    "benchmark.boards": (*FIGURES, "baselines.audit", "benchmark.markdown"),
    "benchmark.figures": FIGURES,
    "benchmark.report": (*FIGURES, "baselines.audit", "benchmark.boards", "benchmark.markdown"),
    "benchmark.tuning": FIGURES,
    # Only these two may know a method by its class.
    "benchmark.studies": (*FIGURES, "baselines"),
    "benchmark.performance": (*FIGURES, "baselines"),
    "benchmark.cli": ("envs", "baselines", "benchmark"),
    "benchmark.__init__": ("benchmark.launch",),
}


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name without `accord`, a package's face as `PACKAGE.__init__`."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in found}


def room_of(module: str) -> str:
    """The room that a module lies in; itself where it lies at the root of a package."""
    words = module.split(".")
    return ".".join(words[:2])


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports, wherever in the module, as it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield node.lineno, named.value


def ours(name: str) -> str | None:
    """The module of ours that a dotted name means, or the one that it is defined in; None for anything else."""
    if not name.startswith("accord."):
        return None
    words = name.removeprefix("accord.").split(".")
    for length in range(len(words), 0, -1):
        module = ".".join(words[:length])
        for candidate in (module, f"{module}.__init__"):
            if candidate in modules():
                return candidate
    return None


@cache
def graph() -> dict[str, set[str]]:
    """Which modules of ours each module imports."""
    found = {
        module: {target for _, name in imports(path.read_text()) if (target := ours(name))}
        for module, path in modules().items()
    }
    return {module: targets - {module} for module, targets in found.items()}


def test_every_room_has_a_row() -> None:
    assert {room_of(module) for module in modules()} == set(ROOMS)


def test_the_documentation_names_every_room_and_no_other() -> None:
    named: set[str] = set()
    for line in (ROOT / "docs" / "rooms.md").read_text(encoding="utf-8").splitlines():
        package, *rooms = re.findall(r"`([^`]+)`", line) or [""]
        if package.rstrip("/") in PACKAGES:
            named |= {f"{package.rstrip('/')}.{room}" for room in rooms if not room.endswith(".yaml")}
    assert named == {room for room in ROOMS if not room.endswith(".__init__")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_row_says(room: str) -> None:
    allowed = (*ROOMS[room], room)
    wrong = [
        f"{module} imports {target}"
        for module, targets in graph().items()
        if room_of(module) == room
        for target in sorted(targets)
        if not any(f"{target}.".startswith(f"{place}.") for place in allowed)
    ]
    assert not wrong, f"{room} may import only {', '.join(ROOMS[room]) or 'nothing of ours'}"


def test_wandb_is_imported_by_tracking_alone_and_not_before_it_is_used() -> None:
    whole = {module: {name for _, name in imports(path.read_text())} for module, path in modules().items()}
    users = [module for module, names in whole.items() if any(name.split(".")[0] == "wandb" for name in names)]
    assert users == ["benchmark.report.tracking"]
    tree = ast.parse(modules()[users[0]].read_text())
    first = "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)))
    assert "wandb" not in first


def test_no_module_imports_itself_by_way_of_others() -> None:
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module in done:
            return
        for target in sorted(graph()[module]):
            visit(target, (*path, module))
        done.add(module)

    for module in modules():
        visit(module, ())


@pytest.mark.parametrize("module", modules())
def test_nothing_is_imported_by_the_name_of_its_folder(module: str) -> None:
    wrong = [
        f"line {line}: {name}"
        for line, name in imports(modules()[module].read_text())
        if name.split(".")[0] in (*PACKAGES, "tests", "src", "")
    ]
    assert not wrong, "import it as accord"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_cannot_be_imported_by_the_name_of_its_folder(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    with pytest.raises(ImportError, match=f"import accord.{package}"):
        __import__(f"{package}")


def test_rooms_and_files_are_of_a_size_to_read() -> None:
    files: dict[Path, int] = {}
    for path in modules().values():
        if path.name != "__init__.py":
            files[path.parent] = files.get(path.parent, 0) + 1
        lines = path.read_text().splitlines()
        assert len(lines) <= MOST_LINES, f"{path.relative_to(ROOT)} has {len(lines)} lines"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                long = (node.end_lineno or 0) - node.lineno + 1
                assert long <= LONGEST_FUNCTION, f"{path.relative_to(ROOT)}: {node.name} has {long} lines"
    assert {path.relative_to(ROOT): count for path, count in files.items() if count > MOST_FILES} == {}
    long_tests = [
        path.name for path in (ROOT / "tests").rglob("*.py") if len(path.read_text().splitlines()) > MOST_LINES
    ]
    assert long_tests == []


@pytest.mark.parametrize(
    "source",
    [
        "import accord.benchmark.machine",
        "from accord.benchmark import machine",
        "def f():\n    from accord.benchmark.machine import one_thread",
        "class A:\n    def f(self):\n        import accord.benchmark.machine as b",
        "import importlib\nimportlib.import_module('accord.benchmark.machine')",
    ],
)
def test_imports_are_seen_wherever_they_stand(source: str) -> None:
    assert "benchmark.machine" in {ours(name) for _, name in imports(source)}
