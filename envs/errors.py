"""The one exception that a user's mistake raises, and how what was given is shown in it."""

from __future__ import annotations

import reprlib
from contextlib import suppress

MOST_BITS = 1_000  # of a whole number that is shown; Python writes none of many thousands


class UsageError(ValueError):
    """A mistake in what the user typed or supplied.

    The message is one line that names the file, key or argument, what was wrong with it and what
    is allowed. The command line prints it without a traceback.
    """

    def __init__(self, message: str) -> None:
        """Set up.

        Args:
            message: The line; what would break it or cannot be seen, as in a name that a user typed, is escaped.
        """
        super().__init__("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message))


def quoted(value: object) -> str:
    """What was given, as Python would write it; cut where it is long."""
    if not (isinstance(value, int) and value.bit_length() > MOST_BITS):
        with suppress(ValueError):  # such a number is somewhere within
            return _QUOTED.repr(value)
    return f"a {type(value).__name__} too long to show"


_QUOTED = reprlib.Repr()
_QUOTED.maxlevel, _QUOTED.maxlist, _QUOTED.maxtuple, _QUOTED.maxdict = 2, 4, 4, 4
_QUOTED.maxstring = _QUOTED.maxlong = _QUOTED.maxother = 80
