import torch

from accord.benchmark.seeding import seeded


def test_generators_of_different_purposes_are_independent() -> None:
    draws = {(s, p): torch.rand(1, generator=seeded(s, p)).item() for s in (0, 1) for p in ("train", "evaluate")}
    assert len(set(draws.values())) == 4
    assert draws[0, "train"] == torch.rand(1, generator=seeded(0, "train")).item()
