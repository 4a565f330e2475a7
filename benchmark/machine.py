"""The machine that measures: its threads, its memory, and whether it was ours alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import torch

CPU = torch.device("cpu")
GPUS = "CUDA_VISIBLE_DEVICES"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Operations of torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[None]:
    """Sums over several threads round otherwise: a run is to be the same alone and among others."""
    return threads(1)


class Busy:
    """Processor time over wall-clock time of what runs while it is entered.

    Attributes:
        share: 1 where one thread had a core to itself.
    """

    share = 0.0

    def __enter__(self) -> Busy:
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.share = (time.process_time() - self._cpu) / (time.perf_counter() - self._wall)


def cores_allowed() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """GPUs that this process may use, by the names that the variable `GPUS` gives them."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = os.environ.get(GPUS, "")
    return ([word.strip() for word in named.split(",")] if named else [str(number) for number in range(count)])[:count]


def wait_for(device: torch.device) -> None:
    """Until an accelerator has done what it was given; a processor has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock_of(device: torch.device) -> Callable[[], float]:
    """Seconds; of an accelerator, when it has done what it was given."""
    if device.type == "cpu":
        return time.perf_counter

    def clock() -> float:
        wait_for(device)
        return time.perf_counter()

    return clock


def reset_memory_peak(device: torch.device = CPU) -> None:
    """Forget the highest size so far, resident (Linux) and of a device, so that the next reading is this work's own."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def device_memory_peak(device: torch.device) -> float | None:
    """Most that tensors held on an accelerator since the last reset, MiB; None for a processor."""
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None


def memory_since(before: float | None, device: torch.device) -> float | None:
    """Highest size since the last reset, MiB: of a device what tensors held there, else what is resident beyond before.

    Args:
        before: `memory_peak` right after the reset.
        device: Where tensors live.
    """
    held, peak = device_memory_peak(device), memory_peak()
    if held is not None:
        return held
    return None if peak is None or before is None else peak - before


def memory_peak() -> float | None:
    """Highest resident size since the last reset, MiB; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
