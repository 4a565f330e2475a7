"""A mistake is one line, however long and strange what was given is."""

import pytest

from accord.envs.errors import UsageError, quoted


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("unknown 'a\nb'", r"unknown 'a\nb'"),
        ("a\u2028b\x1b[31m", r"a\u2028b\x1b[31m"),
        ("name\udc80", r"name\udc80"),
        ("Maß λ 🙂", "Maß λ 🙂"),
    ],
)
def test_what_would_break_the_line_is_escaped(said: str, shown: str) -> None:
    assert str(UsageError(said)) == shown


def test_what_was_given_is_cut() -> None:
    assert quoted("ring") == "'ring'"
    assert len(quoted("a" * 5000)) == 80
    assert len(quoted([["a"] * 5000] * 5000)) < 200
    assert quoted(10**5000) == "a int too long to show"
