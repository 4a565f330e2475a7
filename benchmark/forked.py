"""Calls in processes of their own, forked from one that has the libraries loaded; this one need not load any."""

from __future__ import annotations

import multiprocessing as mp
import os
import pickle
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any


class LostError(Exception):
    """The process of a call ended without an answer."""


def call_apart(call: bytes, loaded: Sequence[str]) -> Any:
    """What a function returns in a process of its own, which ends with this one.

    Args:
        call: The function and its arguments, pickled: unpickling them would load what they need.
        loaded: Modules that the process has from the beginning; the first call of all loads them.

    Raises:
        LostError: the process was killed, or the call raised.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(list(loaded))
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(call, dict(os.environ), theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        process.join()
        code = process.exitcode or 0
        raise LostError(f"the process ended with {f'signal {-code}' if code < 0 else code}") from None
    finally:
        mine.close()
        process.join()


def _answer(call: bytes, environment: Mapping[str, str], channel: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(environment)  # which may have changed since the first call, as by which accelerators are ours
    function, *arguments = pickle.loads(call)
    channel.send(function(*arguments))


def _end_with_parent() -> None:
    parent = mp.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
