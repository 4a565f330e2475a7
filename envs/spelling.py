"""Numbers in addresses: one spelling for one number, so that one scenario has one name."""

from __future__ import annotations

import re
from decimal import Decimal

from accord.envs.errors import UsageError

NUMBER = re.compile(r"-?([0-9]+(\.[0-9]+)?|\.[0-9]+)")  # no exponents, signs or blanks
LONGEST = 24  # characters of a number; there is no use for more


def number_of(text: str, where: str) -> float | None:
    """The number that a text is, None if it is none.

    Args:
        text: As typed.
        where: What it is part of, for the message.

    Raises:
        UsageError: it is a number in another spelling than its shortest.
    """
    if len(text) > LONGEST or not NUMBER.fullmatch(text):
        return None
    plain = format(Decimal(text).normalize() + 0, "f")  # which makes a 0 of -0
    if text != plain:
        raise UsageError(f"{where}: '{text}' is written {plain} in an address")
    return float(text)
