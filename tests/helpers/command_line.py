"""The command line, called in this process or in one of its own."""

import os
import subprocess
import sys

import pytest

from accord.benchmark.cli import main, options

HEAVY = ("numpy", "torch", "scipy", "pandas", "matplotlib", "seaborn", "wandb", "pettingzoo")
CALL = f"""
import sys
sys.argv = ["accord", *sys.argv[1:]]
from accord.benchmark.cli import main
try:
    main()
finally:
    print("loaded:", *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str, terminal: int | None = None
) -> tuple[int, str, str]:
    """Exit status, standard output, standard error; as on a terminal of so many columns, or through a pipe."""
    monkeypatch.setattr(sys, "argv", ["accord", *words])
    for console in (options.out, options.err):
        monkeypatch.setattr(console, "_width", terminal or 200)
        monkeypatch.setattr(console, "_force_terminal", terminal is not None)
        monkeypatch.setattr(console, "_color_system", None)
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def call_anew(*words: str, **environment: str) -> tuple[str, str, str]:
    """Standard output and error of the command line in a process of its own, and which heavy packages it loaded."""
    command = [sys.executable, "-c", CALL, *words]
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    told, _, loaded = ended.stderr.rpartition("loaded:")
    return ended.stdout, told, loaded.strip()
