"""What the columns of the published files hold, besides the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accord.benchmark.evaluation.metric import METRICS

MEANINGS = {
    "suite": "Name of the suite.",
    "scenario": "Address of the scenario.",
    "method": "Name of the method or reference.",
    "variant": "What the suite calls these settings; empty for the method's own.",
    "seed": "Seed of the training and of the evaluation.",
    "status": "How the run ended: done, failed, out of time or out of memory.",
    "error": "Why, in one line, where it did not end well.",
    "n_agents": "Number of agents.",
    "oracle": "Whether the linear programme has an optimum: feasible or infeasible.",
    "oracle_objective": "Objective of the optimum, per hour.",
    "run": "Digest of the spec: the id of the run.",
    "policy": "Digest of all that the training depends on, by the spec; empty where nothing is learned.",
    "policy_revision": "Git revision that the policy was trained at.",
    "identity": "JSON: digests of the data, the network and the code that the run went through.",
    "spec": "JSON: the resolved spec, every setting spelt out.",
    "git_revision": "Git revision of the code that measured the run; +changes where code was not committed.",
    "data_digest": "SHA-256 of the arrays that the task is made from.",
    "cpu": "Processor.",
    "gpu": "GPU, where one was used.",
    "provenance": "JSON: machine, platform and versions of packages.",
    "seeds": "Number of runs behind the row.",
    "feasible_rate": "Share of runs that are feasible.",
    "sees": "What the method acts on, and whether agents are trained together.",
    "needs": "What the method needs beside one's own meter: model, foresight, centre, messages.",
    "locality": "What the audit of locality found.",
    "setup": "What tells the row from others of the same names: effort, settings, or the scenario it was trained on.",
    "trainings": "Number of trained policies behind the row; 0 where nothing is learned.",
    "steps": "Agent-steps of each training; empty where nothing is learned.",
}
# Where a leaderboard's row says something else by a metric's name than a run's does.
OF_ROWS = {"verdict": "How many runs were what, such as `feasible 4/5, postpones 1/5`."}
ENDS = {
    "low": "Lower end of the interval of `{}`.",
    "high": "Upper end of the interval of `{}`.",
    "worst": "`{}` of the worst seed.",
}


def describe(columns: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Name, unit and meaning of each column.

    Args:
        columns: Of `runs.parquet` or of `leaderboard.csv`.

    Raises:
        KeyError: a column is neither a metric nor known here.
    """
    rows = "feasible_rate" in columns
    for name in columns:
        metric, _, end = name.rpartition("_")
        if rows and name in OF_ROWS:
            yield name, "", OF_ROWS[name]
        elif name in METRICS:
            yield name, METRICS[name].unit, f"{'Median over seeds. ' if rows else ''}{METRICS[name].sentence}"
        elif name in MEANINGS:
            yield name, "", MEANINGS[name]
        else:
            yield name, METRICS[metric].unit if metric in METRICS else "", ENDS[end].format(metric)
