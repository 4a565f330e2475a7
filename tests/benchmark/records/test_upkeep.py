"""A store is checked, cleaned, and taken elsewhere."""

import io
import os
import tarfile
import time
import uuid
from pathlib import Path

import pytest

from accord.benchmark.launch.runner import execute
from accord.benchmark.launch.start import planned
from accord.benchmark.records.files import remove, write_file
from accord.benchmark.records.store import POSTS, Store
from accord.benchmark.records.upkeep import DAY, export, faults, litter, take_in
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import EffortSpec, make_run
from accord.benchmark.urls import Url
from accord.envs.errors import UsageError

ADDRESS = "synthetic_7-week/ring/average-0.4"
SMALL = {"copies": 2, "agents": 2, "ppo": {"hidden": [8], "minibatch": 96, "epochs": 1}}
SPECS = [
    make_run(ADDRESS, "serve_now", 0, suite="one"),
    make_run(ADDRESS, "consensus-gossip", 0, suite="two", settings=SMALL, effort=EffortSpec(steps=200, seconds=3_600)),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("runs"))
    for spec in SPECS:
        assert execute(resolve_run(spec), store).status == "done"
    return store


def copy_of(made: Store, tmp_path: Path, suite: str = "") -> Store:
    archive, other = tmp_path / "runs.tar", Store(tmp_path / "other")
    export(made, suite, archive)
    take_in(other, archive)
    return other


def test_what_is_taken_elsewhere_is_not_carried_out_again(made: Store, tmp_path: Path) -> None:
    archive, other = tmp_path / "runs.tar", Store(tmp_path / "other")
    assert export(made, "", archive) == 2
    added, stayed = take_in(other, archive)
    assert (added > 5, stayed) == (True, 0)
    assert other.records() == made.records()
    assert planned(SPECS, other) == []
    assert not list(faults(other.root))
    assert take_in(other, archive) == (0, added)
    assert [path for path in other.root.iterdir() if path.name.startswith(".")] == []


def test_one_suite_may_be_taken_alone(made: Store, tmp_path: Path) -> None:
    assert [record.spec.method for record in copy_of(made, tmp_path, "one").records()] == ["serve_now"]
    with pytest.raises(UsageError, match="--suite 'three': no runs under"):
        export(made, "three", tmp_path / "no.tar")


def test_every_damaged_file_has_a_line(made: Store, tmp_path: Path) -> None:
    other = copy_of(made, tmp_path)
    patterns = ("records/*/record.json", "records/*/traces.npz", "policies/*/policy.pt", "contexts/*.json")
    harmed = [sorted(other.root.glob(pattern))[0] for pattern in patterns]
    for path in harmed:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    lines = list(faults(other.root))
    assert len(lines) == len(harmed)
    assert all(line.startswith(f"{path}: ") for line, path in zip(sorted(lines), sorted(harmed), strict=True))


def test_an_archive_with_a_damaged_or_a_strange_file_is_refused_whole(made: Store, tmp_path: Path) -> None:
    archive, target = tmp_path / "runs.tar", Store(tmp_path / "target")
    export(made, "", archive)
    whole = archive.read_bytes()
    at = whole.index(b'"serve_now"')
    archive.write_bytes(whole[:at] + b'"serve_nov"' + whole[at + 11 :])
    with pytest.raises(UsageError, match=r"record.json: is not what its digest says; nothing of it was added"):
        take_in(target, archive)
    for name in ("../out.json", "notes.txt"):
        with tarfile.open(archive, "w") as file:
            file.addfile(tarfile.TarInfo(name), io.BytesIO())
        with pytest.raises(UsageError, match=r"runs.tar: "):
            take_in(target, archive)
    archive.write_bytes(whole[:700])
    with pytest.raises(UsageError, match=r"runs.tar: "):
        take_in(target, archive)
    assert not [path for path in tmp_path.rglob("*") if path.name in ("out.json", "notes.txt", "record.json")]


def test_only_what_is_over_is_removed(made: Store, tmp_path: Path) -> None:
    other = copy_of(made, tmp_path)
    before = {path for path in other.root.rglob("*") if path.is_file()}
    begun, old = other.root / "records" / ".half-a", other.root / "records" / ".half-b"
    aside, torn = other.root / "records" / ".c.damaged", next(other.root.glob("policies/*")) / ".policy.pt-x"
    for folder in (begun, old, aside):
        (folder / "new").mkdir(parents=True)
        (folder / "new" / ".x").write_text("{")
    torn.write_text("x")
    dead, alive = other.root / "leases" / "run-a.1", other.root / "leases" / "run-b.1"
    dead.parent.mkdir()
    for path in (dead, alive):
        path.touch()
    shown, goes_on = other.root / f"{POSTS}a", other.root / f"{POSTS}b"
    for folder in (shown, goes_on):
        folder.mkdir()
        (folder / "1.jsonl").touch()
    for path in (*old.rglob("*"), old, torn, dead, shown / "1.jsonl", shown, goes_on):
        os.utime(path, times=(time.time() - 2 * DAY,) * 2)
    assert litter(other.root) == sorted([old, aside, torn, dead, shown])
    for path in litter(other.root):
        remove(path)
    assert begun.exists()
    assert goes_on.exists()
    assert litter(other.root) == []
    assert before <= {path for path in other.root.rglob("*") if path.is_file()}


def test_what_goes_while_litter_is_looked_for_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lease, dead = tmp_path / "leases" / "run-a.1", tmp_path / "leases" / "run-b.1"
    lease.parent.mkdir()
    glob = Path.glob

    def released(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        lease.unlink(missing_ok=True)
        return found

    for path in (lease, dead):
        path.touch()
        os.utime(path, times=(time.time() - 2 * DAY,) * 2)
    monkeypatch.setattr(Path, "glob", released)
    assert litter(tmp_path) == [dead]


def test_a_store_goes_to_a_url_and_back(made: Store, tmp_path: Path) -> None:
    there, back = Store(Url("memory", uuid.uuid4().hex)), Store(tmp_path / "back")
    for source, target in ((made, there), (there, back)):
        archive = tmp_path / "runs.tar"
        assert export(source, "", archive) == 2
        added, stayed = take_in(target, archive)
        assert (added > 5, stayed) == (True, 0)
        assert take_in(target, archive) == (0, added)
        assert target.records() == made.records()
        assert planned(SPECS, target) == []
        assert not list(faults(target.root))
    for path in back.root.glob("*/**/*.*"):
        assert path.read_bytes() == (made.root / str(path.relative_to(back.root))).read_bytes()
    file = there.folder(SPECS[0]) / "record.json"
    write_file(file, file.read_bytes().replace(b"serve_now", b"serve_nov"))
    assert list(faults(there.root)) == [f"{file}: is not what its digest says"]


def test_behind_a_url_what_was_set_aside_or_is_old_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Url("memory", uuid.uuid4().hex)
    kept = root / "records" / "b" / "record.json"
    aside = [root / "policies" / "a" / ".policy.pt.damaged", root / "records" / ".a.damaged" / "record.json"]
    leases = [root / "leases" / name for name in ("run-a.1", "run-b.1")]
    shown = [root / f"{POSTS}{name}" / "1.jsonl" for name in "ab"]
    for file in (kept, *aside, *leases, *shown):
        file.write(b"")
    assert set(litter(root)) == set(aside)
    modified = Url.modified
    monkeypatch.setattr(Url, "modified", lambda url: (modified(url) or 0.0) - 2 * DAY * (url in (leases[0], shown[0])))
    assert set(litter(root)) == {*aside, leases[0], shown[0]}
    for place in litter(root):
        remove(place)
    assert set(root.files()) == {kept, leases[1], shown[1]}
