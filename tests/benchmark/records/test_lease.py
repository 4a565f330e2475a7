"""Of several processes one has a lease, a dead one loses it, and one that was only slow learns of it."""

import json
import os
import signal
from pathlib import Path

import pytest
from helpers import sharing
from helpers.sharing import Side

from accord.benchmark.places import Place
from accord.benchmark.records import lease
from accord.benchmark.records.files import write_file
from accord.benchmark.records.lease import EXPIRY, Lease, Leases, TakenError

ELSEWHERE = {"machine": ["far", "boot", "", "me"], "pid": os.getpid(), "token": "x", "process": "process 7 on far"}


class Clock:
    """Of the process that looks; it goes only when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(lease, "GLANCE", 0.0)
    return Clock()


def elsewhere(folder: Place, beats: int = 0, number: int = 1) -> None:
    """The lease of a process on another machine."""
    write_file(folder / f"work.{number}", json.dumps(ELSEWHERE | {"beats": beats}).encode())


def test_another_process_is_refused_in_one_line_that_says_who_is_at_work(root: Place) -> None:
    with Leases(root / "leases").hold("work"):
        other = Leases(root / "leases")
        with pytest.raises(TakenError, match=f"^{root}/: process {os.getpid()} on .* is at work on work; wait"):
            other.hold("work").__enter__()
        assert other.taken("work")
        assert not other.taken("work2")
    with other.hold("work"):
        pass
    assert not list((root / "leases").glob("*"))


def test_work_that_failed_is_free_again(root: Place) -> None:
    leases = Leases(root)
    with pytest.raises(ValueError, match="no"), leases.hold("work"):
        raise ValueError("no")
    assert not leases.taken("work")


def test_a_process_that_was_killed_on_this_machine_has_no_lease_at_once(tmp_path: Path, clock: Clock) -> None:
    holder, leases = Side(sharing.take_and_say, tmp_path, "work"), Leases(tmp_path, clock=clock)
    pid = holder.pipe.recv()
    assert leases.taken("work")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        holder.pipe.recv()  # its end of the pipe is closed: it is dead, though maybe not yet waited for
    holder.process.join()
    assert not leases.taken("work")
    with leases.hold("work") as mine:
        mine.check()
        assert [path.name for path in tmp_path.iterdir()] == ["work.2"]


def test_a_lease_elsewhere_is_over_when_it_does_not_change_on_the_clock_of_who_looks(
    root: Place, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    leases = Leases(root, clock=clock)
    elsewhere(root)
    if isinstance(root, Path):
        os.utime(root / "work.1", times=(0, 0))  # what the other machine's clock says is of no account
    for beats in range(3):
        assert leases.taken("work")
        clock.now += EXPIRY - 1
        assert leases.taken("work")
        elsewhere(root, beats + 1)
    clock.now += EXPIRY - 1
    assert leases.taken("work")
    clock.now += EXPIRY
    assert not leases.taken("work")
    assert "process 7 on far gave no sign of life; its work is taken over" in caplog.text
    with Leases(root).hold("work"):  # also by a process that has not waited
        pass


def test_a_holder_that_was_slow_learns_that_another_has_taken_over(root: Place, clock: Clock) -> None:
    slow, quick = Leases(root), Leases(root, clock=clock)
    with slow.hold("work") as late:
        late.check()
        assert quick.taken("work")
        clock.now += EXPIRY
        assert not quick.taken("work")
        with quick.hold("work") as mine:
            with pytest.raises(TakenError, match="another process has taken over work"):
                late.check()
            late.release()
            mine.check()
            assert slow.taken("work")
    assert not slow.taken("work")


def test_a_holder_whose_beat_is_late_does_not_come_back(tmp_path: Path, clock: Clock) -> None:
    leases = Leases(tmp_path, clock=clock)
    with leases.hold("work") as late:
        path = leases.path("work", 1)
        leases.path("work", 2).write_bytes(path.read_bytes().replace(b'"beats": 0', b'"beats": 1'))
        with pytest.raises(TakenError):
            late.check()


def test_a_holder_that_lives_changes_its_file(tmp_path: Path) -> None:
    class Done:
        """As an event that is set after three times."""

        times = 0

        def wait(self, seconds: float) -> bool:
            self.times += 1
            return self.times > 3

    leases = Leases(tmp_path)
    mine = Lease(leases, "work", 1)
    leases.path("work", 1).write_bytes(mine.content())
    mine.beat(Done(), 0.0)  # type: ignore[arg-type]
    assert json.loads(leases.path("work", 1).read_bytes())["beats"] == 3
    mine.check()


def test_a_lease_that_is_about_to_be_written_is_respected_and_ends_too(tmp_path: Path, clock: Clock) -> None:
    leases = Leases(tmp_path, clock=clock)
    (tmp_path / "work.1").write_bytes(b"")
    with pytest.raises(TakenError, match="another process is at work on work"):
        leases.hold("work").__enter__()
    clock.now += EXPIRY
    assert not leases.taken("work")


def test_four_processes_that_take_turns_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    sides = [Side(sharing.count_up, tmp_path, 50) for _ in range(4)]
    assert [side.pipe.recv() for side in sides] == [50] * 4
    assert (tmp_path / "count").read_text() == "200"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]
