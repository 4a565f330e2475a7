"""Metrics that are measured around the rollout and not computed from it: clocks, memory, messages, solvers."""

from __future__ import annotations

from accord.benchmark.evaluation.metric import Column, Metric

MEASURED = (
    Metric(
        "messages",
        "1/step",
        section="scaling",
        column=Column("messages", place=93, shown="both"),
        meaning="Messages that an agent sends in a step, as counted by the network.",
    ),
    Metric(
        "bytes", "B/step", section="scaling", meaning="Bytes that an agent sends in a step, as counted by the network."
    ),
    Metric(
        "act_microseconds",
        "µs/step",
        "low",
        section="scaling",
        clocked=True,
        column=Column("execution", "µs", place=92, shown="both"),
        meaning="Execution of one agent in one step: observation, policy, dual update and messages.",
    ),
    Metric(
        "step_microseconds",
        "µs/step",
        "low",
        section="scaling",
        clocked=True,
        meaning="The same and the task's dynamics.",
    ),
    Metric(
        "train_seconds",
        "s",
        "low",
        section="scaling",
        clocked=True,
        column=Column("training", "s", decimals=0, place=91, shown="both"),
        meaning="Wall clock of the training alone.",
    ),
    Metric("train_steps", "agent-steps", section="scaling", meaning="Agent-steps of the training."),
    Metric(
        "learned_steps",
        "agent-steps",
        section="scaling",
        column=Column("learned from", "%", 100, 0, place=90, shown="both", optional="alike", share_of="train_steps"),
        meaning="Those of them that were learned from; the others measure, such as a budget's use for its multiplier.",
    ),
    Metric(
        "steps_per_second",
        "1/s",
        "high",
        section="scaling",
        clocked=True,
        meaning="Agent-steps of the training per second.",
    ),
    Metric(
        "peak_memory",
        "MiB",
        "low",
        section="scaling",
        clocked=True,
        meaning="Highest resident memory in training or execution, less that of the started process; on a GPU its own.",
    ),
    Metric("parameters", "1", section="scaling", meaning="Trainable parameters."),
    Metric(
        "solver_gap",
        "-",
        "low",
        clocked=True,
        meaning="Of methods with a solver: mean relative gap that it leaves.",
    ),
    Metric(
        "solver_timeouts",
        "1",
        "low",
        clocked=True,
        meaning="Of methods with a solver: share of its calls that ran into their time limit.",
    ),
    Metric("solver_seconds", "s", "low", clocked=True, meaning="Of methods with a solver: seconds of one call."),
)
