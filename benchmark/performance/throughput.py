"""How fast our methods train, and BenchMARL's beside them: `make bench-throughput`, `make bench-peers`.

Every row trains on the same eight buildings, with two hidden layers of the same width, on one torch thread,
ours with its searched settings, BenchMARL's with its defaults. Times are processor time, which a busy machine hardly
changes; agent-steps per second of wall-clock time stand beside them. Three figures tell where time goes:

- agent-steps/s, end to end: transitions of one agent that were collected and learned from;
- collection, µs per agent-step: policy and task, forward only;
- updates, µs per agent-sample: an agent-sample is one transition of one agent in one gradient step, so a
  method that reuses its data more often is not slower by this figure.

`matrix %` is the share of this core's own matrix-product rate that the updates reach. The rate is that of a
square float32 product, measured right before each row. The floating-point operations of the updates are
6 · parameters · rows summed over every linear layer that ran with gradients on: two per weight and row
forward, four backward. That counts actor, critic and mixer; forward passes without gradients (targets) and
everything that is not a linear layer are left out, so the share is a lower bound.

`busy %` is processor time over wall-clock time. Well below 100 something else had the core, and with it the cache:
measure again on a quiet machine. BenchMARL's own timers are of wall-clock time; its rows take that share of them.

With `--quality` the question is how long training takes until a policy is good; see `benchmark.performance.quality`.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from pydantic import BaseModel
from torch import Tensor
from torch.nn import functional

import accord
from accord.baselines.base import Effort, NoCheckpoint, Training
from accord.baselines.registry import METHODS, make_method, unknown_name
from accord.baselines.training import models, progress
from accord.benchmark.launch.runner import DEFAULT_EFFORT, how_it_ended
from accord.benchmark.machine import Busy
from accord.benchmark.performance.quality import PricedGoal, QualityCallback, TargetReached
from accord.benchmark.performance.throughput_tables import Row, compare, show, show_quality
from accord.benchmark.seeding import seeded
from accord.benchmark.terminal import plain_console, replace_unprintable
from accord.envs.catalogue import resolve_district
from accord.envs.errors import UsageError

ROOT = Path(accord.__file__).parents[1]
SCENARIO = "synthetic_8/ring/average-0.3"
# Each of our methods and the peer that it is closest to, if any.
PEERS: dict[str, str | None] = {
    "ippo-augmented": "ippo",
    "mappo-augmented": "mappo",
    "qmix-augmented": "qmix",
    "vdn-augmented": "vdn",
    "consensus-gossip": "ippo",
    "apg-gossip": None,
}
GEMM_SIZE = 512
ENDLESS = 10**9  # agent-steps; the clock ends a measurement
QUALITY_SCENARIO = "paper_seven/two_groups/average-0.27"
QUALITY_METHODS = ("ippo-augmented", "mappo-augmented", "consensus-gossip")


class WorkCount:
    """Counts what linear layers do with gradients on, while it is entered; see the module for the formula.

    It stands in for `torch.nn.functional.linear`, which a linear layer calls in either library, and for the function
    that takes several of ours together.

    Attributes:
        gflop: 6 · parameters · rows over all of them, in 10⁹.
    """

    def __init__(self) -> None:
        self.gflop = 0.0
        self._rows: dict[int, int] = {}
        self._linear, self._perceptron = functional.linear, models.perceptron
        self._patches = contextlib.ExitStack()

    @property
    def samples(self) -> int:
        """Agent-samples: the rows of the weights with the most, an actor's; a state is read once for all agents."""
        return max(self._rows.values(), default=0)

    def __enter__(self) -> WorkCount:
        self._patches.enter_context(mock.patch.object(functional, "linear", self._count))
        self._patches.enter_context(mock.patch.object(models, "perceptron", self._count_all))
        return self

    def __exit__(self, *exception: object) -> None:
        self._patches.close()

    def _count(self, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output = self._linear(inputs, weight, bias)
        if output.requires_grad:
            self._add(inputs.numel() // inputs.shape[-1], weight, weight.numel())
        return output

    def _count_all(
        self, own: Tensor, shared: Tensor | None, weights: Sequence[Tensor], biases: Sequence[Tensor]
    ) -> Tensor:
        output = self._perceptron(own, shared, weights, biases)
        if output.requires_grad:
            rows = own.numel() // own.shape[-1]
            self._add(rows, weights[0], len(weights[0]) * own.shape[-1])
            for weight in weights[1:]:
                self._add(rows, weight, weight.numel())
            if shared is not None:
                self.gflop += 6e-9 * shared.numel() * len(weights[0])
        return output

    def _add(self, rows: int, weight: Tensor, parameters: int) -> None:
        key = weight.data_ptr()
        self._rows[key] = self._rows.get(key, 0) + rows
        self.gflop += 6e-9 * rows * parameters


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
    effort = Effort(DEFAULT_EFFORT.steps, float("inf")) if quality else Effort(ENDLESS, seconds)
    rate = gemm_rate()
    try:
        method = make_method(name, width_settings(name, width))
        judge = QualityCallback(PricedGoal(address), method, seconds) if quality else None
        task, network = scenario.task(), scenario.network()
        with WorkCount() as work, Busy() as busy, _clock(quality), contextlib.suppress(TargetReached):
            method.train(task, network, Training(effort, seeded(seed, "train"), curve.append, judge or NoCheckpoint()))
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
        "seconds": last["seconds"] / busy.share,
        "processor_seconds": last["seconds"],
        "collect_seconds": last.get("collect_seconds"),
        "update_seconds": last.get("update_seconds"),
        "agent_samples": work.samples,
        "update_gflop": work.gflop,
        "gemm_gflops": rate,
        "busy": busy.share,
    }


def _clock(quality: bool) -> contextlib.AbstractContextManager[Any]:
    """A training's seconds are of processor time, except where the question is how long it takes."""
    return contextlib.nullcontext() if quality else mock.patch.object(progress, "perf_counter", time.process_time)


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
            return {field: {"hidden": (width, width)}}
    raise UsageError(f"method '{name}': no setting 'hidden' to give it a width by")


def measure_peer(python: str, algorithm: str, address: str, width: int, seconds: float, quality: bool = False) -> Row:
    """The row that `benchmark.performance.peers` prints in an environment of its own, or one with `error`."""
    row: Row = {"library": "benchmarl", "method": algorithm, "scenario": address, "width": width}
    command = [python, "-m", "accord.benchmark.performance.peers", "--algorithms", algorithm, "--scenario", address]
    command += ["--width", str(width), "--seconds", str(seconds), *(["--quality"] if quality else [])]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        return row | {"error": str(error)}
    if done.returncode:
        return row | {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> None:
    """The command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m accord.benchmark.performance.throughput",
        description="How fast methods train; on this machine, since a cluster's machines differ and may be shared.",
    )
    parser.add_argument("methods", nargs="*", help="Names; by default the learning methods.")
    parser.add_argument("--peers", help="Python of an environment with BenchMARL, to run beside ours.")
    parser.add_argument("--scenario", help="District / network / budget.")
    parser.add_argument("--width", default="64,256", help="Units of each of two hidden layers, separated by commas.")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="Of the processor, per row; peers count wall-clock iterations."
    )
    parser.add_argument("--quality", action="store_true", help="Train until a policy is good, `--seconds` at most.")
    parser.add_argument("--out", type=Path, help="JSON file for rows and ratios.")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = plain_console(width=None if sys.stdout.isatty() else 140)
    replace_unprintable()
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
        given.out.write_text(json.dumps({**machine, "rows": rows, "ratios": ratios}, indent=1) + "\n", encoding="utf-8")
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


if __name__ == "__main__":
    main()
