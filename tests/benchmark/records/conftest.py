"""Where a store lies."""

import uuid
from pathlib import Path

import pytest

from accord.benchmark.places import Place, place_from


@pytest.fixture(params=["folder", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place, a folder and a URL."""
    return tmp_path / "root" if request.param == "folder" else place_from(f"memory://{uuid.uuid4().hex}/root")
