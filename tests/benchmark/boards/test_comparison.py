import pandas as pd
import pytest
from helpers.records import FEASIBLE, POSTPONES, record, seeds

from accord.benchmark.boards.comparison import IMPROVEMENT_COLUMNS, improvements, is_known, told_apart
from accord.benchmark.records.record import Record

FIVE = [3.0, 3.1, 3.2, 3.3, 3.4]


def shifted(by: float, method: str = "mappo-augmented", count: int = 5) -> list[Record]:
    return seeds([value + by for value in FIVE[:count]], method)


def test_five_seeds_are_told_apart_by_the_exact_test() -> None:
    assert told_apart(seeds(FIVE), shifted(1.0))
    assert told_apart(shifted(1.0), seeds(FIVE))
    assert not told_apart(seeds(FIVE), shifted(0.05))
    # Of 25 pairs two are in the wrong order: 8 of 252 splits are as far out. Three: 14 of 252, p = .056.
    assert told_apart(seeds(FIVE), seeds([3.25, 3.5, 3.6, 3.7, 3.8], "mappo-augmented"))
    assert not told_apart(seeds(FIVE), seeds([3.15, 3.5, 3.6, 3.7, 3.8], "mappo-augmented"))


def test_three_seeds_are_never_told_from_three_or_four() -> None:
    assert not told_apart(shifted(0.0, count=3), shifted(9.0, count=3))
    assert not told_apart(shifted(0.0, count=3), shifted(9.0, count=4))
    assert told_apart(shifted(0.0, count=4), shifted(9.0, count=4))


def test_a_number_without_chance_is_told_from_seeds_whose_interval_does_not_hold_it() -> None:
    for objective, outside in ((2.9, True), (3.0, False), (3.2, False), (3.4, False), (3.5, True)):
        known = [record("rule_based", objective=objective, **FEASIBLE)]
        assert told_apart(known, seeds(FIVE)) == told_apart(seeds(FIVE), known) == outside
        assert not told_apart(known, shifted(9.0, count=4))  # four seeds claim no interval


def test_two_numbers_without_chance_are_told_apart_where_they_differ() -> None:
    rule, serve = [record("rule_based", objective=3.0, **FEASIBLE)], [record("serve_now", objective=3.0, **FEASIBLE)]
    assert not told_apart(rule, serve)
    assert told_apart(rule, [record("serve_now", objective=3.1, **FEASIBLE)])


def test_what_is_learned_or_drawn_is_no_known_number() -> None:
    assert is_known([record("rule_based")])
    assert is_known([record("oracle")])
    assert not is_known([record("random")])
    assert not is_known([record("consensus-gossip")])
    assert not is_known([record("rule_based", seed) for seed in range(2)])
    outside = record("rule_based")
    spec = outside.spec.model_copy(update={"method": "of another package"})
    assert not is_known([outside.model_copy(update={"spec": spec})])


def test_any_feasible_run_is_above_any_infeasible_one() -> None:
    cheap = [record("consensus-independent", seed, objective=1.0, **POSTPONES) for seed in range(5)]
    table = improvements([*seeds(FIVE), *cheap], "consensus-gossip")
    (row,) = table.to_dict("records")
    assert list(table.columns) == list(IMPROVEMENT_COLUMNS)
    assert (row["over"], row["probability"], row["told_apart"]) == ("consensus-independent", 1.0, True)
    assert row["p"] == pytest.approx(2 / 252)


def test_ties_count_half() -> None:
    others = seeds([2.0, 2.0, 3.2, 4.0, 4.0], "consensus-broadcast")
    (row,) = improvements([*seeds([3.2] * 5), *others], "consensus-gossip").to_dict("records")
    assert row["probability"] == 0.5
    assert row["probability_low"] < 0.5 < row["probability_high"]
    assert not row["told_apart"]


def test_over_a_number_without_chance_the_seeds_alone_are_counted() -> None:
    known = record("rule_based", objective=3.35, **FEASIBLE)
    (row,) = improvements([*seeds(FIVE), known], "consensus-gossip").to_dict("records")
    # Four of five seeds are below it: Clopper and Pearson's interval of 4/5.
    assert row["probability"] == pytest.approx(0.8)
    assert (row["probability_low"], row["probability_high"]) == pytest.approx((0.2836, 0.9949), abs=5e-5)
    assert pd.isna(row["p"])
    assert not row["told_apart"]


def test_the_subject_is_compared_with_every_variant_of_others_and_its_variants_with_their_own() -> None:
    runs = []
    for method in ("consensus-gossip", "mappo"):
        run = record(method, **FEASIBLE, objective=1.0)
        runs += [run.model_copy(update={"spec": run.spec.model_copy(update={"variant": v})}) for v in ("", "a", "b")]
    table = improvements(runs, "consensus-gossip")
    pairs = set(zip(table["variant"], table["over_variant"], strict=True))
    assert pairs == {("", ""), ("", "a"), ("", "b"), ("a", ""), ("a", "a"), ("b", ""), ("b", "b")}


def test_set_ups_of_one_method_are_compared_by_themselves() -> None:
    runs = [record(seed=n, steps=20_000 * (1 + n), objective=3.0 - n, **FEASIBLE) for n in range(2)]
    table = improvements([*runs, record("mappo", objective=2.5, **FEASIBLE)], "consensus-gossip")
    assert dict(zip(table["setup"], table["probability"], strict=True)) == {"20,000 steps": 0.0, "40,000 steps": 1.0}
