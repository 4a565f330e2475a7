"""How long a rerun of a published row is taken to last."""

from helpers.records import record

from accord.benchmark.report.draw import drawn, training_seconds


def test_what_a_rule_takes_to_tune_itself_counts_for_each_of_its_rows() -> None:
    rules = [record("rule_based", seed, train_seconds=100.0, step_microseconds=1.0) for seed in range(3)]
    assert [training_seconds(row) for row in rules] == [100.0] * 3
    assert len(drawn(rules, 250.0, 0)) == 2
    learned = [row.model_copy(update={"policy": "one"}) for row in rules]
    assert len(drawn(learned, 250.0, 0)) == 3  # one training serves all of them
