"""What the benchmark of speed compares; the speeds themselves are not tested."""

import pytest

from accord.baselines import make_method
from accord.baselines.registry import METHODS
from accord.benchmark.performance.throughput import PEERS, width_settings
from accord.envs.errors import UsageError


@pytest.mark.parametrize("name", sorted(PEERS))
def test_a_width_changes_the_layers_and_nothing_else_of_what_was_searched(name: str) -> None:
    searched = make_method(name).config.model_dump()
    wide = make_method(name, width_settings(name, 48)).config.model_dump()
    for config in (searched, wide):
        own = config if "hidden" in config else config["ppo"]
        config["found"] = own.pop("hidden")
    assert wide.pop("found") == (48, 48)
    searched.pop("found")
    assert wide == searched


def test_peers_are_compared_at_the_samples_that_they_learn_from() -> None:
    # The dual ascent takes steps of its own, which count; BenchMARL has none.
    assert not [name for name in PEERS if METHODS[name].implied.get("handling") == "lagrangian"]


def test_a_method_without_layers_has_no_width() -> None:
    with pytest.raises(UsageError, match="'serve_now': no setting 'hidden'"):
        width_settings("serve_now", 48)
