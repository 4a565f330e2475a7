"""Scripts in processes of their own, forked from one that has the libraries loaded, as the jobs of a launch are."""

import contextlib
import io
import multiprocessing as mp
import os
import sys
import textwrap
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

from accord.benchmark.launch.local import PRELOAD

# For scripts that ask for digests. What is written late is younger than all that a process has loaded.
HEAD = """
import importlib, os, pathlib, sys, time
from accord.benchmark.records import code
from accord.benchmark.records.code import digest_of_code as digest
sys.path.insert(0, ".")

def write(name, text, late=False):
    path, when = pathlib.Path(name), time.time() + 3600 if late else 1
    path.write_text(text)
    os.utime(path, (when, when))

def unknown(text):
    return text.startswith("unknown")
"""


def in_a_process(folder: Path, script: str, **files: str) -> str:
    """Run a script beside modules of these texts; what it prints."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return run_script(HEAD + textwrap.dedent(script), folder)


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
    try:
        with contextlib.redirect_stdout(printed):
            text = script if isinstance(script, str) else script.read_text()
            exec(compile(text, "<string>" if isinstance(script, str) else str(script), "exec"), vars(main))
    except BaseException:
        channel.send((True, traceback.format_exc()))
    else:
        channel.send((False, printed.getvalue()))
