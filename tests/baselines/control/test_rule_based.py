"""The rule without learning: which prices it tries, and that it is tuned on a tariff with as many as hours."""

import torch

from accord.baselines.control.rule_based import PRICES, _levels


def test_each_price_of_a_tariff_is_tried_and_of_many_some_from_the_least_to_the_highest() -> None:
    few = torch.tensor([0.2, 0.5, 0.2, 0.9])
    assert _levels(few).tolist() == few.unique().tolist()
    many = torch.rand(8760, generator=torch.Generator().manual_seed(0))
    levels = _levels(many)
    assert len(levels) == PRICES
    assert set(levels.tolist()) <= set(many.tolist())
    assert (levels[0], levels[-1]) == (many.min(), many.max())
