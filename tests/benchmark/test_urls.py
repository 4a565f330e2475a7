"""Files behind a URL, of objects and of folders, are as files in a folder; what is wrong with a URL is one line."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fsspec import register_implementation
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from accord.benchmark.places import checked_place, local_folder, place_from
from accord.benchmark.urls import Url
from accord.envs.errors import UsageError


class Folders(LocalFileSystem):
    """A file system with folders that no put of its own writes to, as by SFTP."""

    protocol = "folders"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("folders://"))


class Broken(MemoryFileSystem):
    """Every answer is an exception of its own, or a bucket that is missing."""

    protocol = "broken"
    raised: BaseException = RuntimeError("the\nline is cut")

    def cat_file(self, path: str, *args: Any, **others: Any) -> bytes:
        raise self.raised

    def find(self, path: str, *args: Any, **others: Any) -> list[str]:
        raise self.raised


class Overwriting(MemoryFileSystem):
    """A put that takes the word to create, and does not heed it."""

    protocol = "overwriting"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **others: Any) -> None:
        super().pipe_file(path, value, mode="overwrite")


@pytest.fixture(autouse=True, scope="module")
def known() -> Iterator[None]:
    kinds = (Folders, Broken, Overwriting)
    for kind in kinds:
        register_implementation(kind.protocol, kind)
    yield
    for kind in kinds:
        _registry.pop(kind.protocol)


@pytest.fixture(params=["memory", "folders"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Url:
    place = place_from(f"{request.param}://{uuid.uuid4().hex if request.param == 'memory' else tmp_path}/a[b]*/")
    assert isinstance(place, Url)
    return place


def test_a_path_stays_a_path_and_a_file_url_is_one() -> None:
    assert place_from("runs/x") == place_from(Path("runs/x")) == Path("runs/x")
    assert place_from("file:///some/folder/") == place_from("local:///some/folder") == Path("/some/folder")
    place = place_from("S3://bucket/some/runs//")
    assert (str(place), place.name, place.parent) == ("s3://bucket/some/runs", "runs", Url("s3", "bucket/some"))
    assert place_from(str(place)) == place
    assert local_folder(place) == Path("runs/s3/bucket/some/runs")
    assert local_folder(Url("s3", "b/../..")) == Path("runs/s3/b/_/_")


def test_files_are_written_read_listed_and_removed(root: Url) -> None:
    file = root / "records" / "one" / "record.json"
    assert not file.exists()
    with pytest.raises(FileNotFoundError) as missing:
        file.read_bytes()
    assert missing.value.filename == str(file)
    for content in (b"1", b"22"):
        file.write(content)
        assert file.read_bytes() == content
    (root / "records" / ".two" / "record.json").write(b"")
    (root / "records" / "one" / "more" / "record.json").write(b"")
    assert (file.is_file(), file.parent.is_file(), file.parent.exists()) == (True, False, True)
    assert file.relative_to(root).parts == ("records", "one", "record.json")
    assert root.glob("records/[!.]*/record.json") == [file]
    assert [found.relative_to(root).parts[1:-1] for found in root.files()] == [(".two",), ("one", "more"), ("one",)]
    assert file.files() == [file]
    assert root.glob("nothing/*") == []
    assert file.modified() is not None
    file.unlink(missing_ok=False)
    file.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        file.unlink(missing_ok=False)


def test_a_folder_takes_the_place_of_another(root: Url) -> None:
    for name in ("new/a", "new/b/c", "old/a", "old/z"):
        (root / name).write(name.encode())
    (root / "new").move(root / "old")
    assert [(str(f.relative_to(root)), f.read_bytes()) for f in root.files()] == [
        ("old/a", b"new/a"),
        ("old/b/c", b"new/b/c"),
    ]
    (root / "old" / "a").move(root / "b")
    assert [str(f.relative_to(root)) for f in root.files()] == ["b", "old/b/c"]


def test_one_of_many_creates_a_file_and_an_answer_that_was_lost_is_found() -> None:
    file = Url("memory", uuid.uuid4().hex) / "file"

    def create(content: bytes) -> bool:
        try:
            file.create(content)
        except FileExistsError:
            return False
        return True

    contents = [str(n).encode() for n in range(50)]
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, contents))
    assert [content for content, mine in zip(contents, created, strict=True) if mine] == [file.read_bytes()]
    assert create(file.read_bytes())


def test_what_gives_a_file_to_one_process_alone_is_told_from_what_does_not(tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    assert Url("memory", name).is_exclusive()
    assert not Url("folders", str(tmp_path)).is_exclusive()
    assert not Url("overwriting", name).is_exclusive()
    assert Url("memory", name).files() == Url("folders", str(tmp_path)).files() == []


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (RuntimeError("the\nline is cut"), OSError, "the line is cut"),
        (FileNotFoundError("no bucket"), FileNotFoundError, "no bucket"),
        (PermissionError(13, "Access Denied"), PermissionError, "Access Denied"),
    ],
)
def test_every_failure_names_the_url(
    monkeypatch: pytest.MonkeyPatch, fault: BaseException, kind: type[OSError], text: str
) -> None:
    monkeypatch.setattr(Broken, "raised", fault)
    with pytest.raises(kind) as raised:
        Url("broken", "x/y").read_bytes()
    assert (raised.value.filename, raised.value.strerror) == ("broken://x/y", text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "nothing://x",
            "--root 'nothing://x': Protocol not known: nothing; allowed: a folder, or one URL that fsspec ",
        ),
        ("s3://", "--root 's3://': names no place of one file system; allowed: a folder, or one URL"),
        ("simplecache::s3://b/x", "--root 'simplecache::s3://b/x': names no place of one file system; allowed: "),
        ("sftp://me:secret@host/x", "--root 'sftp://…@host/x': holds a password; allowed: credentials in the environ"),
        ("broken://x", "--root 'broken://x': the line is cut; see that the network reaches it"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_in_one_line(text: str, line: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_place(text)
    assert str(refused.value).startswith(line)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("fault", "helps"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "make it first, or correct the name"),
        (PermissionError("Access Denied"), "the environment must hold credentials that may list, read and write there"),
        (ImportError("Install s3fs"), "pip install 'accord-bench[s3]'"),
    ],
)
def test_a_refusal_says_what_helps(monkeypatch: pytest.MonkeyPatch, fault: BaseException, helps: str) -> None:
    from accord.benchmark import urls

    monkeypatch.setattr(Broken, "raised", fault)
    monkeypatch.setitem(urls.EXTRAS, "broken", "s3")
    with pytest.raises(UsageError, match=f"^--root 'broken://x': {fault}; ") as refused:
        checked_place("broken://x")
    assert helps in str(refused.value)
