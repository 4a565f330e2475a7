"""Processes that hold an object each and work on one thing together: here, or on a Ray cluster.

What is done in a process and how processes exchange tensors among themselves (`torch.distributed` over gloo, hence from
machine to machine as well) is the same wherever they run: `Held`. The two places differ in how a process begins, how it
is asked and how it is seen to be lost.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from multiprocessing import forkserver, get_context, parent_process
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from accord.benchmark.launch.jobs import how_it_ended
from accord.benchmark.launch.local import PRELOAD, same_path
from accord.benchmark.launch.ray_cluster import cluster
from accord.envs.errors import UsageError
from accord.envs.network.shards import Swap

GRACE = 5.0  # seconds in which a lost process is seen to be lost, after another one missed it
Request = tuple[Any, ...]  # a method of `Held` and its arguments
# "value" and it; "mistake" for a user's, "missed" where another process did not answer, or a status, and one line.
Answer = tuple[str, Any]


class LostWorkerError(RuntimeError):
    """A process ended in the middle of its work."""


class Held:
    """What a process does for `Workers`, wherever it runs."""

    def answer(self, method: str, *arguments: Any) -> Answer:
        """Carry out one of the other methods; an error is an answer."""
        torch.set_num_threads(1)
        try:
            return "value", getattr(self, method)(*arguments)
        except UsageError as mistake:
            return "mistake", str(mistake)
        except ConnectionError as missed:
            return "missed", str(missed)
        except Exception as fault:
            return how_it_ended(fault)

    def meet(self, host: Callable[[], str], size: int) -> tuple[str, int]:
        """Open the place where all processes find each other; its address."""
        where = host()
        self._store = dist.TCPStore(where, 0, size, is_master=True, wait_for_workers=False)
        return where, self._store.port

    def join(self, rank: int, size: int, place: tuple[str, int]) -> None:
        """Find the others."""
        store = self._store if rank == 0 else dist.TCPStore(*place, size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)

    def make(self, make: Callable[[Any, Swap], Any], share: Any) -> None:
        """Make the object that is held."""
        self._object = make(share, swap)

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method of it returns."""
        return getattr(self._object, method)(*arguments)


def swap(told: Mapping[int, Tensor], heard: Mapping[int, Tensor]) -> None:
    """Give each process of `told` its tensor, and fill those of `heard` with what these give; see `Swap`.

    Raises:
        ConnectionError: one of them is gone.
    """
    try:
        asked = [dist.irecv(tensor, shard) for shard, tensor in heard.items()]
        asked += [dist.isend(tensor, shard) for shard, tensor in told.items()]
        for one in asked:
            assert one is not None
            one.wait()
    except RuntimeError as fault:
        raise ConnectionError(" ".join(str(fault).split())) from fault


class Workers(ABC):
    """See `baselines.consensus.sharded_rollout.Workers`; to be entered, and closed by leaving it."""

    def __init__(self, count: int) -> None:
        """Set up.

        Args:
            count: How many processes.

        Raises:
            UsageError: none.
        """
        if count < 1:
            raise UsageError(f"workers: {count}; allowed: 1 or more")
        self._count = count

    def __len__(self) -> int:
        return self._count

    @abstractmethod
    def __enter__(self) -> Self:
        """Start them."""

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End them, whatever they do."""

    def begin(self, make: Callable[[Any, Swap], Any], shares: Iterable[Any]) -> None:
        """Have each make its object, of its own share and of how it exchanges with the others."""
        size = len(self)
        (place,) = self._ask([("meet", self._host(), size)])
        self._ask([("join", rank, size, place) for rank in range(size)])
        self._ask(("make", make, share) for share in shares)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """What a method of each object returns.

        Raises:
            UsageError: what a user got wrong, as a worker says it.
            MemoryError: there was not enough for one of them.
            LostWorkerError: one of them ended.
            RuntimeError: any other error in one of them.
        """
        return self._ask([("call", method, *arguments)] * len(self))

    def _ask(self, requests: Iterable[Request]) -> list[Any]:
        """Answers to a request to each of the first workers; after an error all are ended."""
        try:
            asked = 0
            for rank, request in enumerate(requests):
                self._send(rank, request)
                asked += 1
            found = dict[int, Any]()
            while len(found) < asked:
                for rank, (how, said) in self._receive(set(range(asked)) - found.keys()):
                    if how != "value":
                        raise self._error(rank, how, said)
                    found[rank] = said
        except BaseException:
            self.close()
            raise
        return [found[rank] for rank in range(asked)]

    def _error(self, rank: int, how: str, said: str) -> Exception:
        """What an answer that is no value comes to."""
        if how == "mistake":
            return UsageError(said)
        if how == "out of memory":
            return MemoryError(f"worker {rank}: {said}")
        lost = self._lost() if how == "missed" else None
        return RuntimeError(f"worker {rank}: {said}") if lost is None else lost

    @abstractmethod
    def _host(self) -> Callable[[], str]:
        """Finds, in a worker, the name that others reach its machine by."""

    @abstractmethod
    def _send(self, rank: int, request: Request) -> None:
        """Ask a worker."""

    @abstractmethod
    def _receive(self, ranks: Collection[int]) -> list[tuple[int, Answer]]:
        """Wait for an answer of any of these workers; it, and others that are there by then.

        Raises:
            LostWorkerError: one of all workers ended.
        """

    @abstractmethod
    def _lost(self) -> LostWorkerError | None:
        """Wait a moment for a worker to be seen to be lost; None if all go on."""


class LocalWorkers(Workers):
    """Processes of this machine, each with one thread; they end with this one."""

    def __enter__(self) -> Self:
        context = get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        with same_path():
            forkserver.ensure_running()
        self._processes, self._channels = list[Any](), list[Connection]()
        for rank in range(len(self)):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), name=f"worker {rank}", daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._channels.append(mine)
        return self

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        """See `Workers.close`."""
        for process in self._processes:
            process.kill()
        for process, channel in zip(self._processes, self._channels, strict=True):
            process.join()
            channel.close()
        self._processes.clear()
        self._channels.clear()

    def _host(self) -> Callable[[], str]:
        return _this_machine

    def _send(self, rank: int, request: Request) -> None:
        # Not by the channel's own `send`, which puts tensors into shared memory: containers have little of it.
        try:
            self._channels[rank].send_bytes(pickle.dumps(request, pickle.HIGHEST_PROTOCOL))
        except (BrokenPipeError, ConnectionResetError):
            raise self._loss(rank) from None

    def _receive(self, ranks: Collection[int]) -> list[tuple[int, Answer]]:
        sentinels = {process.sentinel: rank for rank, process in enumerate(self._processes)}
        channels = {self._channels[rank]: rank for rank in ranks}
        ready = wait([*channels, *sentinels])
        for one in ready:
            if one in sentinels:
                raise self._loss(sentinels[one])
        found = []
        for channel, rank in channels.items():
            try:
                if channel in ready:
                    found.append((rank, pickle.loads(channel.recv_bytes())))
            except (EOFError, ConnectionResetError):
                raise self._loss(rank) from None
        return found

    def _lost(self) -> LostWorkerError | None:
        sentinels = {process.sentinel: rank for rank, process in enumerate(self._processes)}
        ended = wait(list(sentinels), timeout=GRACE)
        return self._loss(min(sentinels[one] for one in ended)) if ended else None

    def _loss(self, rank: int) -> LostWorkerError:
        process = self._processes[rank]
        process.join()
        how = f"signal {-process.exitcode}" if process.exitcode < 0 else f"status {process.exitcode}"
        return LostWorkerError(f"worker {rank} of {len(self)} was lost: its process ended with {how}")


class RayWorkers(Workers):
    """Actors of a Ray cluster, each with one core."""

    def __init__(self, count: int, address: str | None = None) -> None:
        """Set up.

        Args:
            count: How many actors.
            address: Of a running cluster, see `RayLauncher`; one is started on this machine without.
        """
        super().__init__(count)
        self._address = address

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ray = stack.enter_context(cluster(self._address, len(self)))
            cores = int(self._ray.cluster_resources().get("CPU", 0))
            if cores < len(self):
                raise UsageError(f"workers: {len(self)} on a Ray cluster with {cores} CPU; allowed: 1 to {cores}")
            actor = self._ray.remote(num_cpus=1)(Held)
            self._actors = [actor.remote() for _ in range(len(self))]
            self._asked: dict[Any, int] = {}
            self._open = stack.pop_all()
        return self

    def close(self) -> None:
        """See `Workers.close`."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors.clear()
        self._open.close()

    def _host(self) -> Callable[[], str]:
        find: Callable[[], str] = self._ray.util.get_node_ip_address
        return find

    def _send(self, rank: int, request: Request) -> None:
        self._asked[self._actors[rank].answer.remote(*request)] = rank

    def _receive(self, ranks: Collection[int]) -> list[tuple[int, Answer]]:
        ready, _ = self._ray.wait(list(self._asked))
        return [self._taken(reference) for reference in ready]

    def _taken(self, reference: Any) -> tuple[int, Answer]:
        rank = self._asked.pop(reference)
        try:
            return rank, self._ray.get(reference)
        except self._ray.exceptions.RayError as fault:
            why = " ".join(str(fault).split())[:200]
            raise LostWorkerError(f"worker {rank} of {len(self)} was lost: {why}") from None

    def _lost(self) -> LostWorkerError | None:
        while self._asked:
            ready, _ = self._ray.wait(list(self._asked), timeout=GRACE)
            if not ready:
                return None
            try:
                self._taken(ready[0])
            except LostWorkerError as lost:
                return lost
        return None


def _this_machine() -> str:
    return "localhost"


def _serve(channel: Connection) -> None:
    """A local worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides what Ctrl-C means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    held = Held()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            channel.send_bytes(pickle.dumps(held.answer(*pickle.loads(channel.recv_bytes()))))


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, in the middle of its work too."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
