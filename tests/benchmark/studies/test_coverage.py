"""Intervals on distributions whose truth is known; and the truth of those distributions."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from accord.benchmark.statistics import LEAST_COVERAGE, SIGNIFICANCE, median_coverage, probability_of_improvement
from accord.benchmark.studies import coverage
from accord.benchmark.studies import power as power_of_tests
from accord.benchmark.studies.coverage import Case, against_a_constant, main, others, printed, table
from accord.benchmark.studies.families import chances, levels, pairs, share_above, singles
from accord.benchmark.studies.other_intervals import OTHERS
from accord.benchmark.studies.power import power, power_table, seeds_needed, spreads_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "statistics.md").read_text()
DRAWS = 1_000
PRINTED = "probability of improvement"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return printed(DRAWS)


def test_every_printed_interval_holds_as_often_as_it_claims(cases: list[Case]) -> None:
    chance = 4 * math.sqrt(LEAST_COVERAGE * (1 - LEAST_COVERAGE) / DRAWS)
    for case in cases:
        exact = case.family.endswith("(exact)")
        assert case.coverage >= (0.95 if exact else LEAST_COVERAGE - chance), case
    claimed = {(case.interval, case.scores) for case in cases}
    assert claimed >= {("rate", n) for n in ("3", "5", "10")}
    assert claimed >= {(PRINTED, n) for n in ("3", "5", "10", "3 and 10")}
    assert {scores for name, scores in claimed if name == "median"} == {"5", "10"}


def test_the_median_of_a_continuous_row_is_held_as_often_as_the_sign_test_says(cases: list[Case]) -> None:
    found = {int(case.scores): case.coverage for case in cases if (case.interval, case.family) == ("median", "normal")}
    assert found == {n: pytest.approx(median_coverage(n), abs=4 * math.sqrt(0.05 / DRAWS)) for n in (5, 10)}


def test_an_interval_that_holds_too_seldom_ends_with_a_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = [Case("rate", "5", "some", 0.94, 0.5), Case("median", "5", "others", 0.92, math.nan)]
    monkeypatch.setattr(coverage, "printed", lambda repetitions: made[: repetitions - 999])
    assert main(["--repetitions", "1000"]) == 0
    assert main(["--repetitions", "1001"]) == 1
    told = capsys.readouterr()
    assert "| rate | some | 94.0 %, 0.50 |" in told.out
    assert told.err == "median of 5, others: 92.0 %\n"
    with pytest.raises(SystemExit):
        main(["--repetitions", "999"])
    assert "999; allowed: 1,000 or more" in capsys.readouterr().err


def test_a_table_of_the_least_names_its_family() -> None:
    made = [Case("a", "3 and 10", "x", 0.99, 0.2), Case("a", "3 and 10", "y", 0.95, 0.4), Case("a", "5", "x", 1.0, 0.1)]
    *_, row = table(made, least_only=True).splitlines()
    assert row == "| a | all | 95.0 %, 0.30 (y) | 100.0 %, 0.10 (x) |"


def test_other_intervals_fail_where_the_printed_one_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        (name, n): against_a_constant(name, interval, n).coverage for name, interval in OTHERS.items() for n in (5, 10)
    }
    assert all(min(found[name, 5], found[name, 10]) < LEAST_COVERAGE for name in OTHERS)
    assert found["percentile bootstrap", 5] < 0.2
    monkeypatch.setattr(coverage, "TRUTHS", (0.9,))
    assert {case.interval for case in others(200)} == {"printed", *OTHERS}


def test_other_intervals_of_known_samples() -> None:
    a, b = np.array([[1.0, 3.0, 5.0, 7.0, 9.0]]), np.array([[2.0, 4.0, 4.5, 4.7, 6.0]])  # 15 of 25 pairs are won
    assert share_above(a, b) == pytest.approx(0.6)
    for name, interval in OTHERS.items():
        (low,), (high,) = interval(a, b)
        assert 0 <= low < 0.6 < high <= 1, name
        (mirrored_low,), (mirrored_high,) = interval(b, a)
        assert (mirrored_low, mirrored_high) == pytest.approx(
            (1 - high, 1 - low), abs=0.1 if "bootstrap" in name else 1e-9
        )
    low, high = OTHERS["Newcombe's method 5"](a, b)
    variance = [t * (1 - t) * (1 + 4 * (1 - t) / (2 - t) + 4 * t / (1 + t)) / 25 for t in (*low, *high)]
    assert [0.6 - low[0], high[0] - 0.6] == pytest.approx(1.959964 * np.sqrt(variance))


@pytest.mark.parametrize("theta", [0.5, 0.8, 0.97])
def test_pairs_have_the_probability_that_they_are_made_for(theta: float) -> None:
    generator, draws = np.random.default_rng(0), 40_000
    for family, (better, worse) in pairs(theta):
        found = share_above(better(generator.random((draws, 2))), worse(generator.random((draws, 2)))).mean()
        assert found == pytest.approx(theta, abs=4 * 0.5 / math.sqrt(2 * draws)), family


def test_half_of_the_scores_lie_on_either_side_of_the_median() -> None:
    u = (np.arange(10_000) + 0.5) / 10_000
    for family, quantile in singles().items():
        scores, (middle,) = quantile(u), quantile(np.array([0.5]))
        assert (scores <= middle).mean() >= 0.5, family
        assert (scores >= middle).mean() >= 0.5, family


def test_levels_are_counted_once_and_their_chances_add_up() -> None:
    ways = levels(5, 4)
    assert len({tuple(way) for way in ways}) == len(ways) == math.comb(8, 3)
    assert (ways.sum(1) == 5).all()
    likely = chances(ways, np.array([0.1, 0.0, 0.2, 0.7]))
    assert likely.sum() == pytest.approx(1)
    assert likely @ ways == pytest.approx([0.5, 0.0, 1.0, 3.5])


def test_vectorised_intervals_are_those_of_rows() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 4, (30, 5)).astype(float), generator.integers(0, 4, (30, 3)).astype(float)
    ends = np.array(coverage._improvement(a, b))
    for own, other, found in zip(a.tolist(), b.tolist(), ends.T, strict=True):
        assert probability_of_improvement(own, other)[1:] == pytest.approx(tuple(found))


def test_power_of_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seeds_needed(20.0) == 4, "three against three are never told apart"
    assert power(3, 20.0) == 0
    assert power(4, 20.0) == 1
    assert 0 < power(8, 0.0) <= SIGNIFICANCE + 4 * math.sqrt(SIGNIFICANCE / 4_000)
    assert power(5, 2.0) < power(8, 2.0)
    assert seeds_needed(1.0) == min(n for n in range(2, 30) if power(n, 1.0) >= 0.8)
    monkeypatch.setattr(power_of_tests, "MOST_SEEDS", 8)
    assert seeds_needed(1.0) is None


def test_spreads_are_those_of_rows_that_learn_with_five_seeds() -> None:
    rows = [("learns", seed, gap, 100.0) for seed, gap in enumerate((0.05, 0.06, 0.07, 0.08, 0.09))]
    rows += [("few", seed, 0.1, 100.0) for seed in range(4)] + [("rule", seed, 0.1 * seed, 0.0) for seed in range(5)]
    runs = pd.DataFrame(rows, columns=["method", "seed", "optimality_gap", "train_steps"]).assign(
        scenario="s", variant=""
    )
    assert spreads_of(runs).to_dict() == {("s", "learns", ""): pytest.approx(math.sqrt(2.5))}


def test_a_runs_table_that_cannot_be_read_is_named_before_anything_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.parquet"
    path.write_bytes(b"PAR1")
    with pytest.raises(SystemExit):
        main(["--runs", str(path)])
    assert f"--runs: {path}: cannot be read (" in capsys.readouterr().err


def test_the_page_shows_what_is_computed(cases: list[Case]) -> None:
    shown = " ".join(PAGE.split())
    exact = [line for line in table(cases).splitlines() if "(exact)" in line]
    assert len(exact) == 2
    computed = [*exact, *power_table(pd.read_parquet(ROOT / "results" / "core" / "runs.parquet")).splitlines()]
    missing = [line for line in computed if " ".join(line.split()) not in shown]
    assert not missing, "run python -m accord.benchmark.studies.coverage --runs results/core/runs.parquet"
