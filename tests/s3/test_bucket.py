"""A store in a bucket of a server that speaks S3, by the command line and processes of its own: `make test-s3`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from helpers.command_line import call
from helpers.records import numbers
from helpers.sharing import NOTING, noting

from accord.benchmark.launch import launch
from accord.benchmark.launch.local import Here
from accord.benchmark.places import checked_place
from accord.benchmark.records.store import Store
from accord.benchmark.report import publish
from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.suite import load_suite

SERVER = Path(os.environ.get("MOTO_SERVER", Path(__file__).parents[2] / ".venv-moto" / "bin" / "moto_server"))
SUITE = """
description: Small.
seeds: 1
effort: {steps: 200, seconds: 3_600}
entries:
  - {scenarios: [games/two_step], methods: [stuck, noting]}
  - scenarios: [synthetic_7-week/ring/average-0.4]
    methods: [noting, oracle, consensus-gossip]
    variants: {"": {copies: 2, agents: 2, ppo: {hidden: [8], minibatch: 96, epochs: 1}}}
"""
RUNS = 5
WORDS = ("--import", str(NOTING), "--wandb", "disabled")
Accord = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[str]:
    """The address of a server, which the environment of this process and those it begins names."""
    pytest.importorskip("s3fs", reason="needs s3fs: make test-s3")
    if not SERVER.exists():
        pytest.skip(f"needs moto's server, {SERVER}: make test-s3")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        command = [str(SERVER), "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert process.poll() is None
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        process.kill()
        process.wait()


@pytest.fixture
def url() -> str:
    """An empty bucket and a prefix."""
    import s3fs

    bucket = f"bucket-{uuid.uuid4().hex}"
    s3fs.S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}/some/runs"


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "tiny.yaml").write_text(SUITE)
    with noting(tmp_path) as path:
        yield path


@pytest.fixture
def accord(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Accord:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(publish, "is_uncommitted", lambda record: False)  # as in a clean checkout
    return partial(call, monkeypatch, capsys)


class Launching:
    """`accord run` of the suite in a process of its own, which heads a group."""

    def __init__(self, folder: Path, url: str) -> None:
        words = [sys.executable, "-m", "accord", "run", "tiny.yaml", "--jobs", "1", "--root", url, *WORDS]
        self.said = (folder / f"said-{uuid.uuid4().hex}").open("w+")
        self.process = subprocess.Popen(
            words, cwd=folder, stdout=subprocess.DEVNULL, stderr=self.said, start_new_session=True
        )

    def end(self) -> int:
        """How many runs it carried out."""
        self.process.wait()
        self.said.seek(0)
        said = self.said.read()
        assert self.process.returncode == 0, said
        found = re.search(rf"{RUNS} of {RUNS} runs done, (\d+) carried out now; report in runs/s3/bucket-", said)
        assert found, said
        return int(found[1])


def test_launches_that_share_a_bucket_divide_the_work(tmp_path: Path, notes: Path, url: str) -> None:
    (tmp_path / "go-on").touch()
    started = [Launching(tmp_path, url) for _ in range(2)]
    assert sum(launching.end() for launching in started) == RUNS
    store = Store(checked_place(url))
    assert len(store.records("tiny")) == RUNS
    assert list((store.root / "leases").glob("*")) == []


def test_what_a_killed_launch_was_at_is_done_and_all_equals_a_folders(
    tmp_path: Path, notes: Path, url: str, accord: Accord
) -> None:
    first = Launching(tmp_path, url)
    while "began" not in notes.read_text():
        assert first.process.poll() is None
        time.sleep(0.05)
    os.killpg(first.process.pid, signal.SIGKILL)  # and its job
    first.process.wait()
    (tmp_path / "go-on").touch()
    before = len(Store(checked_place(url)).records())
    assert Launching(tmp_path, url).end() == RUNS - before
    specs, there, here = runs_of(load_suite("tiny.yaml")), Store(checked_place(url)), Store(tmp_path / "here")
    assert [r.status for r in launch(specs, here, launcher=Here()).records] == ["done"] * RUNS
    for spec in specs:
        kept, same = there.load(spec), here.load(spec)
        assert kept is not None
        assert same is not None
        assert numbers(kept, there) == numbers(same, here)
    _everything_else_that_reads_it(tmp_path, url, accord, there)


def _everything_else_that_reads_it(tmp_path: Path, url: str, accord: Accord, there: Store) -> None:
    root = ("--root", url)
    status, said, told = accord("report", "tiny", *root, "--summary", "--format", "csv")
    assert (status, "consensus-gossip" in said) == (0, True), told
    status, said, told = accord("publish", "tiny", *root)
    assert status == 0, told
    assert said.startswith(f"{RUNS} runs published")
    assert accord("show", there.records()[0].spec.digest, *root)[0] == 0
    assert accord("store", "check", *root)[1] == f"nothing is damaged under {url}/\n"
    assert accord("store", "export", "runs.tar", *root)[1] == f"{RUNS} runs in runs.tar\n"
    for target in (f"{url}-copy", str(tmp_path / "copy")):
        added = accord("store", "import", "runs.tar", "--root", target)[1]
        assert re.fullmatch(r"\d+ files added under .*/, 0 were there\n", added)
        assert Store(checked_place(target)).records() == there.records()
        assert accord("store", "check", "--root", target)[0] == 0
        again = accord("store", "import", "runs.tar", "--root", target)[1]
        assert re.fullmatch(r"0 files added under .*/, \d+ were there\n", again)


@pytest.mark.parametrize(
    ("changed", "named", "said"),
    [
        ({}, "s3://no-such-bucket/x", "The specified bucket does not exist; make it first, or correct the name"),
        ({"AWS_ACCESS_KEY_ID": None}, "s3://bucket/x", "credentials; the environment must hold credentials that may"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "s3://bucket/x", "see that the network reaches it"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, accord: Accord, changed: dict[str, str | None], named: str, said: str
) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in changed.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    status, _, told = accord("run", "quick", "--root", named)
    s3fs.S3FileSystem.clear_instance_cache()
    assert (status, told.count("\n")) == (2, 1)
    assert told.startswith(f"error: --root '{named}': ")
    assert said in told
