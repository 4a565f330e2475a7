"""What a process runs, whatever becomes of the files: its digest, or one that no other call gives."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.processes import in_a_process

EDITS = {
    "function": ("def act(): return 1", "def act(): return 2"),
    "default argument": ("def act(share=0.5): return share", "def act(share=0.9): return share"),
    "tuple of names": ("A, B = 1, 2", "A, B = 1, 3"),
    "class attribute": ("class A:\n    share = 0.5", "class A:\n    share = 0.9"),
    "default of a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    share: float = 0.5",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    share: float = 0.9",
    ),
    "computed constant": ("HOURS = 24 * 31", "HOURS = 24 * 30"),
    "string in a generator": ("X = ''.join('a' for _ in 'x')", "X = ''.join('b' for _ in 'x')"),
    "order of calls": ("ROWS = []\nROWS.append(1)\nROWS.append(2)", "ROWS = []\nROWS.append(2)\nROWS.append(1)"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_was_changed_after_it_was_loaded_is_vouched_for_by_nobody(tmp_path: Path, edit: str) -> None:
    before, after = EDITS[edit]
    script = f"""
        import mine
        write("mine.py", {after!r}, late=True)
        assert unknown(digest(["mine"])) and digest(["mine"]) != digest(["mine"])
        write("mine.py", {after!r})
        importlib.reload(mine)
        assert not unknown(digest(["mine"]))
    """
    in_a_process(tmp_path, script, mine=before)


def test_what_was_loaded_and_read_counts_as_it_was(tmp_path: Path) -> None:
    script = """
        import mine
        first = digest(["mine"])
        write("mine.py", "from helper import half\\nSHARE = .9\\n", late=True)
        assert digest(["mine"]) == first
        assert not unknown(digest(["mine"], without=["helper"]))    # another set of modules with it
        write("mine.py", "from helper import half\\nSHARE = .9\\n")
        importlib.reload(mine)
        second = digest(["mine"])
        assert not unknown(second) and second != first
        write("mine.py", "from helper import half  # a comment\\nSHARE = .5\\n")
        importlib.reload(mine)
        assert digest(["mine"]) == first                            # taken back
        write("helper.py", "def half(x): return x / 3\\n", late=True)
        write("mine.py", "SHARE =", late=True)                      # half written
        assert digest(["mine"]) == first
    """
    helper = "def half(x): return x / 2\n"
    in_a_process(tmp_path, script, mine="from helper import half\nSHARE = .5\n", helper=helper)


def test_what_is_not_loaded_is_what_its_file_says(tmp_path: Path) -> None:
    script = """
        first = digest(["mine"])
        write("mine.py", "SHARE = .9\\n", late=True)
        second = digest(["mine"])
        assert not unknown(second) and second != first
        write("mine.py", "SHARE = .5\\n")
        import mine
        assert digest(["mine"]) == first
    """
    in_a_process(tmp_path, script, mine="SHARE = .5\n")


def test_a_worker_believes_the_digest_of_what_it_loaded_itself(tmp_path: Path) -> None:
    script = """
        import mine
        first = digest(["mine"])
        known = code.known_digests().replace(first, "from the other")

        def taken():
            code._KNOWN.clear()
            code._READ.clear()
            code.take_digests(known)
            return digest(["mine"])

        assert taken() == "from the other"
        write("mine.py", "SHARE = .9\\n", late=True)
        assert taken() == "from the other"             # loaded before it was changed
        write("mine.py", "SHARE = .9\\n")
        importlib.reload(mine)
        assert taken() not in ("from the other", first)
    """
    in_a_process(tmp_path, script, mine="SHARE = .5\n")


SCRIPT = """
import os, sys, time
from accord.benchmark.launch.jobs import Job
from accord.benchmark.launch.local import LocalLauncher
from accord.benchmark.records.code import digest_of_code, known_digests, take_digests

SHARE = 0.5

class Mine:
    pass

def asked(data, tell):
    take_digests(data["known"])
    return digest_of_code([Mine.__module__])

def change(text):
    with open(__file__) as file:
        changed = file.read().replace("SHARE = 0." + "5", text)
    with open(__file__, "w") as file:
        file.write(changed)

if __name__ == "__main__":
    first, ended = digest_of_code([Mine.__module__]), []
    data = {"known": known_digests()}
    jobs = [Job(name, name, asked, data, needs=needs) for name, needs in (("a", ()), ("b", ("a",)), ("c", ("b",)))]
    edits = iter(("SHARE = 0.5  # a comment", "SHARE = 0.9", ""))

    def on_end(over):
        ended.append(over.value)
        change(next(edits))

    LocalLauncher(1, quiet=True).work(jobs, on_end)
    print([digest == first for digest in (*ended, digest_of_code([Mine.__module__]))])
"""


def test_a_script_that_is_changed_while_its_jobs_are_carried_out(tmp_path: Path) -> None:
    """Each job runs the script as it is by then."""
    (tmp_path / "mine.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[True, True, False, True]\n", done.stderr
