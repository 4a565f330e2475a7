"""The catalogue: a scenario's name is its address and has one meaning.

    campus_seven/two_groups/hourly-0.35     district / network / budget
    games/two_step                          another family of scenarios, by its own first word

Outside packages add a family as an entry point in `accord.tasks`: its first word, and a `Family`. A file of one's own
registers it by `register_family`.
"""

from __future__ import annotations

from functools import cache, lru_cache

from accord.envs.allocation.scenario import ALLOCATION
from accord.envs.demand_response.scenario import DISTRICTS, DistrictScenario
from accord.envs.districts.named import NAMED, SYNTHETIC
from accord.envs.errors import UsageError, quoted
from accord.envs.files import Stamp, stamp_of
from accord.envs.plugins import loaded, refuse
from accord.envs.scenario import Family, Scenario
from accord.envs.third_party.citylearn import CITYLEARN
from accord.envs.third_party.mpe2_and_lbf import LBF, MPE2
from accord.envs.toy.coupled_linear import COUPLED
from accord.envs.toy.games import GAMES

# Raised when an entry that has published results changes its meaning.
VERSION = 1
# By the first word of their addresses; whatever begins with another one is a district.
BUILT_IN = {
    "games": GAMES,
    "mpe2": MPE2,
    "lbf": LBF,
    "allocation": ALLOCATION,
    "citylearn": CITYLEARN,
    "coupled": COUPLED,
}
DISTRICT_WORDS = (*NAMED, SYNTHETIC)
GROUP = "accord.tasks"
_REGISTERED: dict[str, Family] = {}


@cache
def families() -> dict[str, Family]:
    """Every family of scenarios but the districts, by its first word: ours, then those of other packages.

    One that is no family, or whose word is taken by a family or a district of ours, is passed over with a warning.
    """
    found = dict(BUILT_IN)
    for name, family in loaded(GROUP):
        if not isinstance(family, Family):
            kind = type(family).__name__
            refuse(GROUP, name, f"it is a {kind}; allowed: a Family (a district goes to accord.districts)")
        elif _is_taken(name):
            refuse(GROUP, name, "its word is taken")
        else:
            found[name] = family
    return found | _REGISTERED


def register_family(word: str, family: Family) -> None:
    """Make a family known by the first word of its addresses: for a file or a notebook, see `accord run --import`.

    The same word may be registered again, as by a notebook's cell that is run again.

    Raises:
        ValueError: the word is that of a family or a district of Accord or of an installed package.
    """
    if _is_taken(word) or word in families().keys() - _REGISTERED.keys():
        raise ValueError(f"the word '{word}' of a family is taken")
    _REGISTERED[word] = family
    families.cache_clear()
    _resolved.cache_clear()


def _is_taken(word: str) -> bool:
    """Addresses of Accord begin with it."""
    return any(f"{known}_".startswith(f"{word}_") for known in (*BUILT_IN, *DISTRICT_WORDS))


def family_of(address: str) -> Family:
    """The family that an address belongs to, whether it has a meaning there or not."""
    first, known = address.partition("/")[0], families()
    for word in sorted(known, key=len, reverse=True):
        if first == word or first.startswith(f"{word}_"):
            return known[word]
    return DISTRICTS


def resolve(address: str) -> Scenario:
    """The scenario of an address; the same object until a file that it names changes.

    Raises:
        UsageError: the address has no meaning.
    """
    if not isinstance(address, str):
        raise UsageError(f"address {quoted(address)}: allowed: a text like campus_seven/two_groups/hourly-0.35")
    return _resolved(address, tuple(stamp_of(path) for path in family_of(address).files(address)))


@lru_cache(maxsize=64)
def _resolved(address: str, files: tuple[Stamp, ...]) -> Scenario:
    return family_of(address).resolve(address)


def resolve_district(address: str) -> DistrictScenario:
    """The scenario of a district's address.

    Raises:
        UsageError: the address is of another family, is not three words, or one of them has no meaning.
    """
    scenario = resolve(address)
    if not isinstance(scenario, DistrictScenario):
        raise UsageError(f"address '{address}': this needs a district, like campus_seven/two_groups/hourly-0.35")
    return scenario


def is_episodic(address: str) -> bool:
    """Scenarios of the address's family are measured in episodes, whether this one has a meaning or not."""
    return family_of(address).episodic


def words() -> list[tuple[str, str]]:
    """What can be typed as an address and what it means, of every family."""
    return [pair for family in (DISTRICTS, *families().values()) for pair in family.words()]
