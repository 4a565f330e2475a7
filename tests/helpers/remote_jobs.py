"""Jobs that processes elsewhere carry out."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accord.benchmark.launch.jobs import Tell
from accord.benchmark.records.lease import TakenError
from accord.envs.errors import UsageError


def doubled(data: Mapping[str, Any], tell: Tell) -> int:
    for done in range(1, 4):
        tell(done, {"steps": done, "double": 2.0 * done})
    return 2 * data["number"]


def refused(data: Mapping[str, Any], tell: Tell) -> None:
    raise UsageError("this cannot be done")


def ends(data: Mapping[str, Any], tell: Tell) -> None:
    """Its process is lost."""
    os._exit(7)


def ends_once(data: Mapping[str, Any], tell: Tell) -> str:
    """Its process is lost the first time."""
    path = Path(data["path"])
    if not path.exists():
        path.touch()
        os._exit(7)
    return "done"


def rests(data: Mapping[str, Any], tell: Tell) -> None:
    """Says which process it is, and does not end."""
    Path(data["path"]).write_text(str(os.getpid()))
    time.sleep(600)


def taken_once(data: Mapping[str, Any], tell: Tell) -> str:
    """Another process has its lease the first time."""
    path = Path(data["path"])
    if not path.exists():
        path.touch()
        raise TakenError("another process is at work on it")
    return "done"


def beside(data: Mapping[str, Any], tell: Tell) -> tuple[str | None, list[str]]:
    """The GPUs that it was given, and the names of others that were at work when it began."""
    folder, name = Path(data["folder"]), data["name"]
    others = sorted(path.stem for path in folder.glob("*.at-work"))
    (folder / f"{name}.at-work").touch()
    time.sleep(0.2)
    (folder / f"{name}.at-work").unlink()
    return os.environ.get("CUDA_VISIBLE_DEVICES"), others


def given_by_ray(call: bytes, loaded: list[str]) -> tuple[str, dict[str, float]]:
    """In place of a job: what its task was given."""
    import ray

    return "value", ray.get_runtime_context().get_assigned_resources()
