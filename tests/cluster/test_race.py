"""Ten thousand saves and loads of the same runs by several processes at once."""

from pathlib import Path

from helpers.sharing import Side, save_and_load

from accord.benchmark.records.store import Store


def test_nothing_is_found_that_nobody_saved(tmp_path: Path) -> None:
    sides = [Side(save_and_load, tmp_path, process, 2_500) for process in range(4)]
    assert [side.pipe.recv() for side in sides] == [0] * 4
    assert len(Store(tmp_path).records()) == 3
    assert not [path for path in (tmp_path / "records").iterdir() if path.name.startswith(".")]
