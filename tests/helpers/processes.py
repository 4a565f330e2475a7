"""Scripts in processes of their own, forked from one that has the libraries loaded, as the jobs of a launch are."""

import contextlib
import io
import multiprocessing as mp
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from accord.benchmark.launch.local import PRELOAD
from accord.benchmark.records import code


def run_script(script: str | Path, folder: Path) -> str:
    """What a script prints, a text as after `python -c` or a file, run in a folder.

    Raises:
        AssertionError: it failed; with its traceback.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(script, folder, theirs))
    process.start()
    theirs.close()
    failed, said = ours.recv()
    process.join()
    assert not failed, said
    return said


def _run(script: str | Path, folder: Path, channel: Connection) -> None:
    os.chdir(folder)
    main, printed = ModuleType("__main__"), io.StringIO()
    sys.path.insert(0, "" if isinstance(script, str) else str(script.parent))
    if isinstance(script, Path):
        main.__file__ = str(script)
    sys.modules["__main__"], sys.argv = main, [str(script) if isinstance(script, Path) else "-c"]
    # Accord was loaded by the process that this one is forked from; this one is as old as its modules of one's own.
    code._STARTED = code._start_of_process() + 0.02
    time.sleep(0.05)  # longer than the kernel's hundredths: what the script writes is younger than its process
    try:
        with contextlib.redirect_stdout(printed):
            text = script if isinstance(script, str) else script.read_text()
            exec(compile(text, "<string>" if isinstance(script, str) else str(script), "exec"), vars(main))
    except BaseException:
        channel.send((True, traceback.format_exc()))
    else:
        channel.send((False, printed.getvalue()))
