"""One scenario has one name: every number in an address has one spelling, and no number is without end."""

import pytest

from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.spelling import number_of


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("12", 12.0), ("0.05", 0.05), ("-2.5", -2.5), ("100", 100.0)])
def test_the_shortest_spelling_is_taken(text: str, value: float) -> None:
    assert number_of(text, "here") == value


@pytest.mark.parametrize("text", ["", "1e3", "+1", " 1", "1_0", "٣", "1.", "nan", "inf", "0x1", "9" * 25])
def test_what_is_no_number_is_none(text: str) -> None:
    assert number_of(text, "here") is None


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("paper_seven/ring/average-0.270", "budget 'average-0.270': '0.270' is written 0.27 in an address"),
        ("paper_seven/ring+loss-.3/average-0.27", "fault 'loss-.3': '.3' is written 0.3 in an address"),
        ("paper_seven/small_world-4-0.10/average-0.27", "'0.10' is written 0.1 in an address"),
        ("allocation_5x1/radius-2.0/jumps", "'2.0' is written 2 in an address"),
        ("games/penalty_25.0", "game 'penalty_25.0': '25.0' is written 25 in an address"),
        ("games/penalty_-5", "unknown game 'penalty_-5'"),
        (f"synthetic_{'9' * 5000}/ring/average-0.4", "unknown district"),
        (f"allocation_{'9' * 5000}x1/radius-2/jumps", "allowed: allocation_NxW"),
    ],
)
def test_another_spelling_is_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(address).task()
