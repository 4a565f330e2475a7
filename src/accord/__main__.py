"""`accord` and `python -m accord` are the command line; whoever stops it hears one line, from the first import on."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Load the command line, which takes a moment, and run it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    from accord.benchmark.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    run()


def _stop(number: int, _: object) -> None:
    print("stopped; nothing was begun", file=sys.stderr, flush=True)
    os._exit(128 + number)  # in the middle of an import


if __name__ == "__main__":
    main()
