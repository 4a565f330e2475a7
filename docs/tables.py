"""Write the tables of README and the documentation anew: each is what the command in the comment above it prints.

python docs/tables.py [PAGE ...]

<!-- accord report core --published --summary -->
| method | ...
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PRINTED = re.compile(r"<!-- accord (?P<words>.+) -->\n(?P<table>(?:\|.+\|\n)*)")


def table_of(printed: str) -> str:
    """What stands in a page of what a command printed: the table, without the line that explains its cells."""
    return f"{printed.partition(chr(10) * 2)[0]}\n"


def main() -> None:
    """Run the commands of the pages that are named, or of all, and put what they print under their comments."""
    for page in [Path(word) for word in sys.argv[1:]] or PAGES:
        text = page.read_text(encoding="utf-8")
        page.write_text(PRINTED.sub(_printed_anew, text), encoding="utf-8")


def _printed_anew(found: re.Match[str]) -> str:
    words = found["words"]
    command = [sys.executable, "-m", "accord", *shlex.split(words)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return f"<!-- accord {words} -->\n{table_of(done.stdout)}"


if __name__ == "__main__":
    main()
