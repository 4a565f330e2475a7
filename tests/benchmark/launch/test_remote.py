"""What a job elsewhere shows of itself reaches who launched it, also where its machine is lost and it begins again."""

import logging
from pathlib import Path
from typing import Any

import pytest
from helpers import remote_jobs

from accord.benchmark.launch.jobs import Ended, Job, Result, Row
from accord.benchmark.launch.remote import Remote, carry_out
from accord.benchmark.places import Place, place_from

LOST = 'null\n[1, {"steps": 1, "double": 2.0}]\n[2, {"steps": 2, "double": 4.0}]\n'
ROWS = [{"steps": n, "double": 2.0 * n} for n in (1, 2, 3)]


class Losing(Remote):
    """The first attempt at each job is read, and lost; a second one is carried out in this process."""

    def __init__(self, folder: Place, left: str) -> None:
        super().__init__(folder, quiet=True)
        self._left, self._asked = left, 0

    def _submit(self, job: Job, path: Place) -> tuple[Job, Place]:
        if isinstance(path, Path):
            path.write_text(self._left)
        else:
            path.write(self._left.encode())  # type: ignore[attr-defined]
        return job, path

    def _ended(self, handle: Any) -> Result | None:
        self._asked += 1
        job, path = handle
        return None if self._asked == 1 else carry_out(job.work, job.data, str(path))

    def _cancel(self, handle: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("place", "half"),
    [("folder", ""), ("folder", '[3, {"ste'), ("memory://attempts", "")],
    ids=["folder", "half", "url"],
)
def test_a_job_whose_machine_was_lost_goes_on_showing_itself(
    place: str, half: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    begun, rows, ended = list[Job](), list[Row](), list[Ended]()
    folder = place_from(place if "://" in place else tmp_path / place)
    with caplog.at_level(logging.DEBUG, "accord"):
        Losing(folder, LOST + half).work(
            [Job("a", "a", remote_jobs.doubled, {"number": 21}, total=3)],
            ended.append,
            begun.append,
            lambda job, row: rows.append(row),
        )
    assert [(over.value, over.fault) for over in ended] == [(42, None)]
    assert len(begun) == 1
    assert rows == [*ROWS[:2], *ROWS]
    assert [record.levelname for record in caplog.records] == (["DEBUG"] if half else [])
    assert not list(folder.glob(".launch-*/*"))


def test_what_was_removed_while_a_job_waited_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "1.jsonl"
    assert carry_out(remote_jobs.doubled, {"number": 1}, str(path)) == ("value", 2)
    assert path.read_text().splitlines()[0] == "null"
