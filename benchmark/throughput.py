"""How fast our methods train, and BenchMARL's beside them: `python -m benchmark.throughput --peers PYTHON`.

Every row trains on the same eight buildings, with two hidden layers of the same width, on one torch thread,
with its own library's default settings. Three figures tell where time goes:

- agent-steps/s, end to end: transitions of one agent that were collected and learned from;
- collection, µs per agent-step: policy and task, forward only;
- updates, µs per agent-sample: an agent-sample is one transition of one agent in one gradient step, so a
  method that reuses its data more often is not slower by this figure.

`core %` is the share of this core's own matrix-product rate that the updates reach. The rate is that of a
square float32 product, measured right before each row. The floating-point operations of the updates are
6 · parameters · rows summed over every linear layer that ran with gradients on: two per weight and row
forward, four backward. That counts actor, critic and mixer; forward passes without gradients (targets) and
everything that is not a linear layer are left out, so the share is a lower bound.

`busy %` is processor time over wall-clock time. Well below 100 something else had the core: a row, and a
ratio with it, is worth no more than that; measure again on a quiet machine.

With `--quality` the question is how long training takes until a policy is good: meets the budget, with an
objective within `WITHIN` of the optimum, over the first `HOURS` hours that the scenario measures. Policies are
rolled out without noise every few seconds (peers: after every iteration), which does not count as training.
Peers know no multipliers, so they are handed prices that suit the optimum: its multiplier on imports, and
for the shortfall a little more than what the optimum pays per unit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from baselines.base import Controller, Effort, Infeasible, Method, NoCheckpoint
from baselines.oracle import Oracle
from baselines.registry import METHODS, make_method, unknown_name
from benchmark.evaluate import evaluate
from benchmark.metrics import VIOLATION_ALLOWED, Context
from benchmark.runner import DEFAULT_EFFORT, how_it_ended, seeded
from envs.catalogue import DistrictScenario, resolve_district
from envs.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = "synthetic_8/ring/average-0.3"
# Each of our methods and the peer that it is closest to.
PEERS = {
    "ippo-lagrangian": "ippo",
    "mappo-augmented": "mappo",
    "qmix-augmented": "qmix",
    "vdn-augmented": "vdn",
    "consensus-gossip": "ippo",
}
GEMM_SIZE = 512
ENDLESS = 10**9  # agent-steps; the clock ends a measurement
QUALITY_SCENARIO = "paper_seven/two_groups/average-0.27"
QUALITY_METHODS = ("ippo-lagrangian", "mappo-augmented", "consensus-gossip")
HOURS = 744
WITHIN = 0.1
EVERY = 2.0  # seconds of training between two looks at our policies
WORTH = 1.25  # of a served unit to a peer, in what the optimum pays for one
Row = dict[str, Any]


class WorkCount:
    """Counts what linear layers do with gradients on, while it is entered; see the module for the formula.

    It stands in for `torch.nn.functional.linear`, which every linear layer calls, in either library.

    Attributes:
        gflop: 6 · parameters · rows over all of them, in 10⁹.
    """

    def __init__(self) -> None:
        self.gflop = 0.0
        self._rows: dict[int, int] = {}
        self._linear = functional.linear
        self._patch = mock.patch.object(functional, "linear", self._count)

    @property
    def samples(self) -> int:
        """Agent-samples: the rows of the weights with the most, an actor's; a state is read once for all agents."""
        return max(self._rows.values(), default=0)

    def __enter__(self) -> WorkCount:
        self._patch.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._patch.stop()

    def _count(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output = self._linear(inputs, weight, bias)
        if output.requires_grad:
            rows = inputs.numel() // inputs.shape[-1]
            key = weight.data_ptr()
            self._rows[key] = self._rows.get(key, 0) + rows
            self.gflop += 6e-9 * rows * weight.numel()
        return output


class Busy:
    """Processor time over wall-clock time of what runs while it is entered.

    Attributes:
        share: 1 where one thread had a core to itself.
    """

    share = 0.0

    def __enter__(self) -> Busy:
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.share = (time.process_time() - self._cpu) / (time.perf_counter() - self._wall)


def gemm_rate(seconds: float = 0.5) -> float:
    """GFLOP/s of a square float32 matrix product on one thread, best of many so that a busy machine shows less."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    a, b = torch.randn(2, GEMM_SIZE, GEMM_SIZE, generator=torch.Generator().manual_seed(0))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    torch.set_num_threads(before)
    return 2e-9 * GEMM_SIZE**3 / best


def measure(name: str, address: str, width: int, seconds: float, quality: bool = False, seed: int = 0) -> Row:
    """Train one of our methods for some seconds, or until it is good; its row, or one with `error`."""
    row: Row = {"library": "accord", "method": name, "scenario": address, "width": width}
    if name not in METHODS:
        return row | {"error": unknown_name(name)}
    scenario = resolve_district(address)
    curve: list[Mapping[str, float]] = []
    effort = DEFAULT_EFFORT.model_copy(update={"seconds": seconds}).effort() if quality else Effort(ENDLESS, seconds)
    rate = gemm_rate()
    try:
        method = make_method(name, width_settings(name, width))
        judge = Judge(scenario, method) if quality else None
        task, network = scenario.task(), scenario.network()
        with WorkCount() as work, Busy() as busy, contextlib.suppress(_GoodEnough):
            method.train(task, network, effort, seeded(seed, "train"), curve.append, judge or NoCheckpoint())
    except Exception as fault:
        return row | {"error": how_it_ended(fault)[1]}
    if not curve:
        return row | {"error": "logged no row of training"}
    last = curve[-1]
    row |= {
        "n_agents": scenario.district.n_agents,
        "agent_steps": int(last["steps"]),
        "settings": method.config.model_dump(mode="json"),
    }
    if judge is not None:  # looking falls into the training's own clock, so its other times mean nothing here
        return row | {"seconds": judge.looks[-1]["seconds"] if judge.looks else None, "looks": judge.looks}
    return row | {
        "seconds": last["seconds"],
        "agent_steps_per_second": last["steps"] / last["seconds"],
        "collect_seconds": last.get("collect_seconds"),
        "update_seconds": last.get("update_seconds"),
        "agent_samples": work.samples,
        "update_gflop": work.gflop,
        "gemm_gflops": rate,
        "busy": busy.share,
    }


class Goal:
    """What a policy must reach on a scenario: the budget met, the objective close to the optimum."""

    def __init__(self, address: str) -> None:
        """Solve the first `HOURS` measured hours of a scenario with perfect foresight."""
        scenario = resolve_district(address)
        first = scenario.district.measured[0]
        self.scenario = scenario.over((first, first, first + HOURS))
        district = self.scenario.district
        bound = Oracle().solve(self.scenario)
        if isinstance(bound, Infeasible):
            raise UsageError(f"scenario '{address}': nothing meets its budget over the first {HOURS} hours")
        peak, price = district.demand_peak, district.price
        self._context = Context(
            oracle="feasible", oracle_objective=bound.objective, demand_peak=peak, top_price=float(price.max())
        )
        # In mean prices: what the optimum's multiplier adds to an import, and what it pays for a unit.
        self.multiplier = float(bound.multipliers.mean())
        imports = bound.imports.to(price)
        self.paid = float((price[first : first + HOURS] * imports).sum() / imports.sum() / district.mean_price)

    def look(self, controller: Controller, seconds: float) -> Row:
        """Roll a controller out; how good it is after `seconds` of training."""
        found = evaluate(self.scenario, controller, self._context, seeded(0, "evaluate")).metrics
        gap, violation = found["optimality_gap"], found["violation"]
        good = (
            isinstance(gap, float) and isinstance(violation, float) and gap <= WITHIN and violation <= VIOLATION_ALLOWED
        )
        return {"seconds": seconds, "gap": gap, "violation": violation, "good": good}


class _GoodEnough(Exception):  # noqa: N818 - not an error
    """Ends a training whose policy has reached its goal."""


class Judge(NoCheckpoint):
    """Looks at what a training has learned every `EVERY` seconds and stops it once that is good.

    Attributes:
        looks: What was seen.
        seconds: Spent on looking.
    """

    def __init__(self, scenario: DistrictScenario, method: Method) -> None:
        """Args: where and what is trained."""
        self.looks: list[Row] = []
        self.seconds = 0.0
        self._goal, self._method, self._task = Goal(scenario.address), method, scenario.task()

    def snapshot(self, fraction: float, steps: int, seconds: float, state: Callable[[], dict[str, Any]]) -> None:
        """See `Checkpoint.snapshot`."""
        trained = seconds - self.seconds
        if self.looks and trained - self.looks[-1]["seconds"] < EVERY:
            return
        began = time.perf_counter()
        controller = self._method.build(self._task, seeded(0, "train"))
        controller.load_state_dict(state())
        self.looks.append(self._goal.look(controller, trained))
        self.seconds += time.perf_counter() - began
        if self.looks[-1]["good"]:
            raise _GoodEnough


def width_settings(name: str, width: int) -> dict[str, Any]:
    """The setting that gives a method two hidden layers of `width`, wherever its config keeps `hidden`.

    Raises:
        UsageError: it keeps none.
    """
    fields = METHODS[name].method.config_type.model_fields
    if "hidden" in fields:
        return {"hidden": (width, width)}
    for field, info in fields.items():
        part = info.default
        if isinstance(part, BaseModel) and "hidden" in type(part).model_fields:
            return {field: part.model_dump() | {"hidden": (width, width)}}
    raise UsageError(f"method '{name}': no setting 'hidden' to give it a width by")


def measure_peer(python: str, algorithm: str, address: str, width: int, seconds: float, quality: bool = False) -> Row:
    """The row that `benchmark.peers` prints in an environment of its own, or one with `error`."""
    row: Row = {"library": "benchmarl", "method": algorithm, "scenario": address, "width": width}
    command = [python, "-m", "benchmark.peers", "--algorithms", algorithm, "--scenario", address]
    command += ["--width", str(width), "--seconds", str(seconds), *(["--quality"] if quality else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        return row | {"error": str(error)}
    if done.returncode:
        return row | {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def time_to_quality(row: Mapping[str, Any]) -> float | None:
    """Seconds of training until a row's policy was good; None if it never was."""
    return next((look["seconds"] for look in row.get("looks", []) if look["good"]), None)


def stages(row: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a row that are compared; None where the row lacks what they need."""
    collect, update, samples = row.get("collect_seconds"), row.get("update_seconds"), row.get("agent_samples")
    return {
        "agent_steps_per_second": row.get("agent_steps_per_second"),
        "collect_microseconds": None if collect is None else 1e6 * collect / row["agent_steps"],
        "update_microseconds": None if update is None or not samples else 1e6 * update / samples,
        "core_share": row["update_gflop"] / update / row["gemm_gflops"] if update and row["update_gflop"] else None,
    }


def compare(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, float | None]:
    """How many times faster ours is: end to end, per stage, and until it is good; None where that is not known."""
    a, b = stages(ours), stages(peer)
    pairs = {
        "end_to_end": (a["agent_steps_per_second"], b["agent_steps_per_second"]),
        "collection": (b["collect_microseconds"], a["collect_microseconds"]),
        "updates": (b["update_microseconds"], a["update_microseconds"]),
        "quality": (time_to_quality(peer), time_to_quality(ours)),
    }
    return {name: x / y if x and y else None for name, (x, y) in pairs.items()}


def show(rows: list[Row], ratios: list[Row], console: Console) -> None:
    """Print a table of rows, one of ratios where there are any, and what went wrong."""
    table = _table("training on one thread", "library", "method", "width")
    for heading in ("agent-steps/s", "µs/step collection", "µs/sample updates", "core %", "busy %", "GEMM GFLOP/s"):
        table.add_column(heading, justify="right")
    for row in rows:
        found = stages(row)
        share = found["core_share"]
        table.add_row(
            *_name(row),
            _number(found["agent_steps_per_second"], 0),
            _number(found["collect_microseconds"], 2),
            _number(found["update_microseconds"], 2),
            _number(None if share is None else 100 * share, 1),
            _number(100 * row["busy"] if "busy" in row else None, 0),
            _number(row.get("gemm_gflops"), 0),
        )
    console.print(table)
    if ratios:
        table = _table("times faster than the peer", "method", "peer", "width")
        for heading in ("end to end", "collection", "updates"):
            table.add_column(heading, justify="right")
        for row in ratios:
            figures = (_number(row[stage], 1) for stage in ("end_to_end", "collection", "updates"))
            table.add_row(row["method"], row["peer"], str(row["width"]), *figures)
        console.print(table)
    _show_errors(rows, console)


def show_quality(rows: list[Row], console: Console) -> None:
    """Print how long each row took to be good, and the least gap of a look that met the budget."""
    table = _table(f"training until the budget is met within {WITHIN:.0%} of the optimum", "library", "method", "width")
    for heading in ("seconds until good", "seconds trained", "least gap %", "looks"):
        table.add_column(heading, justify="right")
    for row in rows:
        looks = row.get("looks", [])
        gaps = [100 * look["gap"] for look in looks if look["violation"] <= VIOLATION_ALLOWED]
        figures = _number(time_to_quality(row), 1), _number(row.get("seconds"), 1), _number(min(gaps, default=None), 1)
        table.add_row(*_name(row), *figures, str(len(looks)))
    console.print(table)
    _show_errors(rows, console)


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.throughput", description="How fast methods train.")
    parser.add_argument("methods", nargs="*", help="Names; by default the learning methods.")
    parser.add_argument("--peers", help="Python of an environment with BenchMARL, to run beside ours.")
    parser.add_argument("--scenario", help="District / network / budget.")
    parser.add_argument("--width", default="64,256", help="Units of each of two hidden layers, separated by commas.")
    parser.add_argument("--seconds", type=float, default=10.0, help="Of training per row; peers end their iteration.")
    parser.add_argument("--quality", action="store_true", help="Train until a policy is good, `--seconds` at most.")
    parser.add_argument("--out", type=Path, help="JSON file for rows and ratios.")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(width=None if sys.stdout.isatty() else 140)
    methods = given.methods or list(QUALITY_METHODS if given.quality else PEERS)
    address = given.scenario or (QUALITY_SCENARIO if given.quality else SCENARIO)
    widths = _widths(parser, given.width)
    rows, ratios = run(methods, address, widths, given.seconds, given.peers, given.quality)
    if given.quality:
        show_quality(rows, console)
    else:
        show(rows, ratios, console)
    if given.out is not None:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "torch": torch.__version__}
        given.out.write_text(json.dumps({**machine, "rows": rows, "ratios": ratios}, indent=1) + "\n")
    if any("error" in row for row in rows):
        sys.exit(1)


def run(
    methods: list[str], address: str, widths: list[int], seconds: float, peers: str | None, quality: bool = False
) -> tuple[list[Row], list[Row]]:
    """Every row and ratio; a peer runs right after the method that it is compared with, and once per width."""
    rows: list[Row] = []
    ratios: list[Row] = []
    for width in widths:
        peer_rows: dict[str, Row] = {}
        for name in methods:
            print(f"{name}, width {width}", file=sys.stderr, flush=True)
            ours = measure(name, address, width, seconds, quality)
            rows.append(ours)
            peer = PEERS.get(name)
            if peers is None or peer is None:
                continue
            if peer not in peer_rows:
                print(f"benchmarl {peer}, width {width}", file=sys.stderr, flush=True)
                peer_rows[peer] = measure_peer(peers, peer, address, width, seconds, quality)
                rows.append(peer_rows[peer])
            ratios.append({"method": name, "peer": peer, "width": width, **compare(ours, peer_rows[peer])})
    return rows, ratios


def _widths(parser: argparse.ArgumentParser, text: str) -> list[int]:
    if not all(part.isdigit() and int(part) > 0 for part in text.split(",")):
        parser.error(f"--width: '{text}'; allowed: whole numbers above 0, separated by commas, like 64,256")
    return [int(part) for part in text.split(",")]


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _name(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["library"], row["method"], str(row["width"])


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _show_errors(rows: list[Row], console: Console) -> None:
    for row in rows:
        if "error" in row:
            console.print(f"{row['method']}, width {row['width']}: {row['error']}", style="red", highlight=False)


if __name__ == "__main__":
    main()
