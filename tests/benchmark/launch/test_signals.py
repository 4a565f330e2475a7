import signal
import subprocess
import sys
from pathlib import Path

import pytest

RESTS = """
import time
from accord.__main__ import main
from accord.benchmark.launch.jobs import Job
from accord.benchmark.launch.local import LocalLauncher

def rest(data, tell):
    time.sleep(600)

def started(job):
    print("started", flush=True)

if __name__ == "__main__":
    LocalLauncher(1, quiet=True).work([Job("a", "a", rest)], print, started)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_launcher_and_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "rests.py"
    script.write_text(RESTS)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        process.communicate()  # ends when no process holds the pipes any more: there is no orphan
    assert process.returncode == (-number if number == signal.SIGINT else 128 + signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_command_line_is_loaded_is_one_line(number: signal.Signals) -> None:
    begin = "import os, signal; from accord.__main__ import _stop"
    code = f"{begin}; signal.signal({number:d}, _stop); os.kill(os.getpid(), {number:d})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (128 + number, "stopped; nothing was begun\n")
