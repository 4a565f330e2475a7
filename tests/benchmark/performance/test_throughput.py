"""What the benchmark of speed compares; the speeds themselves are not tested."""

import pytest

from accord.baselines import make_method
from accord.baselines.registry import METHODS
from accord.benchmark.performance.throughput import PEERS, width_settings
from accord.benchmark.performance.throughput_tables import stages
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


def test_figures_are_of_processor_time_and_the_clocks_rate_stands_beside() -> None:
    row = {"agent_steps": 1000, "seconds": 8.0, "processor_seconds": 4.0, "collect_seconds": 1.0}
    row |= {"update_seconds": 2.0, "agent_samples": 4000, "update_gflop": 60.0, "gemm_gflops": 120.0}
    found = stages(row)
    assert found["agent_steps_per_second"] == 250
    assert found["agent_steps_per_wall_second"] == 125
    assert found["collect_microseconds"] == pytest.approx(1000)
    assert found["update_microseconds"] == pytest.approx(500)
    assert found["matrix_share"] == 0.25
    assert set(stages({}).values()) == {None}
