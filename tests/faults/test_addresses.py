"""Addresses that were typed wrong: each is refused in a line that names what was found, or means what it says."""

import re
from random import Random

import torch
from helpers.cases import Draw

from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.scenario import Scenario

SMALL = 100  # agents of a scenario that is stepped
DISTRICTS = ("paper_seven", "campus_seven", "homes_17", "mixed_9", "synthetic_7", "synthetic_12-week")
NETWORKS = ("complete", "ring", "star", "path", "two_groups", "regular-2", "erdos_renyi-0.9", "small_world-2-0.1")
FAULTS = (
    *("loss-0.3", "one_way_loss-0.5", "delay-6", "rounding-0.05", "every-3", "switching-star", "cut", "liar_says-2"),
    *("liar_adds--0.5", "liar_flips", "dead_serving-2", "dead_idle-1_3", "late-0"),
)
BUDGETS = (
    *("average-0.27", "hourly-0.35", "window-17_21-0.3", "window-22_6-12_14-0.3", "feeder-0.3", "cap-0.6"),
    *("hourly-0.35~0.3", "average-0.4~tariff", "average-x1.05"),
)
OTHERS = (
    *("games/two_step", "games/qtran", "games/penalty_25", "games/climbing", "coupled/three", "mpe2/simple_spread_v3"),
    *("lbf/8x8-2p-2f-coop", "allocation_4x2/radius-1/jumps", "allocation_3x1/radius-0.5/failures"),
)
NUMBERS = (
    *(
        "0",
        "-0",
        "-1",
        "1.0",
        "01",
        "1e3",
        "+1",
        " 1",
        "1 ",
        "1_0",
        "nan",
        "inf",
        "0x1",
        "٣",
        "１",
        ".5",
        "5.",
        "",
        "½",
    ),
    *("999999999", "9" * 30, "9" * 5000, "1e999", "0.3.2", "1,5", "10000000000", "123456789", "99999"),
)
STRANGE = "/-+~_.:, \n\t\0\\'\"[](){}<>|*?%$#@!&=ÄßλＡ\u200b\u202e🙂x9\udc80"

# What addresses are made of, written down once more and independently of the code that reads them.
POSITIVE = r"(?=.{1,24}(?![0-9.]))(0\.[0-9]*[1-9]|[1-9][0-9]*(\.[0-9]*[1-9])?)"
NUMBER = rf"(0|-?{POSITIVE})"
SHARE = r"(0|1|0\.[0-9]*[1-9])"
WHOLE = r"(0|[1-9][0-9]{0,8})"
AGENTS = rf"{WHOLE}(_{WHOLE})*"
TOPOLOGY = (
    rf"(complete|ring|star|path|grid|torus|two_groups|regular-{WHOLE}|erdos_renyi-{SHARE}|small_world-{WHOLE}-{SHARE})"
)
FAULT = (
    rf"\+((one_way_)?loss-{SHARE}|delay-{WHOLE}|rounding-{POSITIVE}|every-{WHOLE}|switching-{TOPOLOGY}|cut|"
    rf"liar_(says|adds)-{NUMBER}|liar_flips|(dead_serving|dead_idle|late)-{AGENTS})"
)
HOURS = r"((1?[0-9]|2[0-4])_(1?[0-9]|2[0-4]))"
BUDGET = rf"((average|hourly|feeder|cap)|window(-{HOURS})+)-x?{POSITIVE}(~({POSITIVE}|tariff))?"
DISTRICT = r"(paper_seven|campus_seven|homes_17|mixed_9|synthetic_[1-9][0-9]{0,7}(-week)?)"
MEANT = re.compile(
    rf"(citylearn(_curtailed|_flat)?/)?{DISTRICT}/{TOPOLOGY}({FAULT})*/{BUDGET}"
    rf"|games/(two_step|qtran|climbing|penalty_(0|{POSITIVE}))|coupled/three|mpe2/simple_spread_v3|lbf/8x8-2p-2f-coop"
    rf"|allocation_[1-9][0-9]{{0,3}}x[1-9][0-9]{{0,2}}/radius-{POSITIVE}/(steady|jumps|discharging|failures)"
)


def plain(generator: Random) -> str:
    """An address that is spelt right."""
    if generator.random() < 0.2:
        return generator.choice(OTHERS)
    faults = generator.sample(FAULTS, generator.choice((0, 0, 1, 2)))
    network = "+".join([generator.choice(NETWORKS), *faults])
    return f"{generator.choice(DISTRICTS)}/{network}/{generator.choice(BUDGETS)}"


def harmed(address: str, generator: Random) -> str:
    """The address with one slip."""
    at = generator.randrange(len(address))
    words = re.split("([/+-])", address)
    word = 2 * generator.randrange((len(words) + 1) // 2)
    numbers = [found.span() for found in re.finditer(r"[0-9]+(\.[0-9]+)?", address)]
    kind = generator.choice(("drop", "put", "take", "swap", "word gone", "word twice", "capital", "number", "number"))
    if kind == "number" and numbers:
        first, last = generator.choice(numbers)
        return address[:first] + generator.choice(NUMBERS) + address[last:]
    if kind == "drop":
        return address[:at] + address[at + 1 :]
    if kind == "put":
        return address[:at] + generator.choice(STRANGE) + address[at:]
    if kind == "take":
        return address[:at] + generator.choice(STRANGE) + address[at + 1 :]
    if kind == "swap":
        return address[:at] + address[at : at + 2][::-1] + address[at + 2 :]
    if kind == "word gone":
        return "".join(words[:word] + words[word + 1 :])
    if kind == "word twice":
        return "".join(words[: word + 1] + words[max(0, word - 1) : word + 1] + words[word + 1 :])
    return address[:at] + address[at].swapcase() + address[at + 1 :]


def check_sound(scenario: Scenario) -> None:
    """It can be acted on, and every number that it gives is finite."""
    network = scenario.network()
    assert network.n_agents == scenario.n_agents >= 1
    assert all(0 < budget.limit < float("inf") for budget in scenario.budgets())
    if scenario.n_agents > SMALL:
        return
    try:
        scenario.check()
    except UsageError:
        return  # its package is not here
    task, generator = scenario.task(), torch.Generator().manual_seed(0)
    step = task.reset(2, generator)
    for _ in range(2):
        assert step.obs.isfinite().all()
        assert step.reward.isfinite().all()
        step = task.step(torch.zeros(2, scenario.n_agents, task.spec.action.size))


def test_an_address_is_refused_in_one_line_or_means_what_it_says(draw: Draw) -> None:
    wrong = []
    for name, generator in draw("addresses", 600):
        address = plain(generator)
        for _ in range(generator.choice((0, 1, 1, 1, 2))):
            address = harmed(address, generator) if address else address
        try:
            scenario = resolve(address)
        except UsageError as mistake:
            if len(str(mistake).splitlines()) != 1:
                wrong.append(f"{name}: {address!r}: not one line: {mistake}")
            continue
        except Exception as fault:
            wrong.append(f"{name}: {address!r}: {type(fault).__name__}: {fault}"[:300])
            continue
        if MEANT.fullmatch(address) is None:
            wrong.append(f"{name}: {address!r}: accepted")
            continue
        check_sound(scenario)
    assert not wrong, "\n".join(wrong)
