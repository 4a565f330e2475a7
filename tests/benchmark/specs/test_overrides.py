import pytest

from accord.benchmark.specs.expand import runs_of
from accord.benchmark.specs.overrides import Overrides, settings_from
from accord.benchmark.specs.suite import Suite, load_suite
from accord.envs.errors import UsageError

SUITE = Suite.model_validate(
    {
        "name": "mine",
        "description": "Two districts.",
        "seeds": 3,
        "effort": {"steps": 1000},
        "entries": [
            {
                "scenarios": ["campus_seven/ring/hourly-0.35"],
                "methods": ["serve_now"],
            },
            {
                "district": "paper_seven",
                "networks": ["ring", "star"],
                "budgets": ["average-0.3", "average-0.4"],
                "methods": ["serve_now", "random", "consensus-gossip"],
                "variants": {"slow": {"dual": {"alpha": 0.05}}, "tuned": {}},
            },
        ],
    }
)


def test_budgets_cannot_be_put_into_whole_addresses() -> None:
    with pytest.raises(UsageError, match="--budgets: suite 'core' lists whole addresses"):
        runs_of(load_suite("core"), Overrides(budgets=["hourly-0.3"]))


def test_methods_without_randomness_have_one_run_whatever_the_seeds() -> None:
    runs = runs_of(SUITE, Overrides(methods=["serve_now", "random"], seed_list=[7, 8, 7]))
    assert {(run.method, run.seed) for run in runs} == {("serve_now", 0), ("random", 7), ("random", 8)}


def test_the_command_line_narrows_and_widens_a_suite() -> None:
    chosen = Overrides(
        methods=["consensus-gossip"],
        scenarios=["ring/average-0.3", "ring/average-0.4"],
        variants=["tuned"],
        seeds=2,
    )
    assert [(r.scenario, r.variant, r.seed) for r in runs_of(SUITE, chosen)] == [
        (f"paper_seven/ring/average-{level}", "tuned", seed) for level in (0.3, 0.4) for seed in (0, 1)
    ]
    runs = runs_of(SUITE, Overrides(budgets=["average-0.25"], methods=["consensus-gossip"], seeds=1, steps=77))
    assert {run.scenario.split("/")[-1] for run in runs} == {"average-0.25"}
    assert {run.effort.steps for run in runs if run.effort} == {77}


def test_a_method_that_the_suite_does_not_list_runs_on_all_its_scenarios() -> None:
    runs = runs_of(SUITE, Overrides(methods=["rule_based", "consensus-independent"], seeds=1))
    assert len(runs) == 5 * 2
    assert {run.variant for run in runs} == {""}


def test_one_name_is_not_given_to_two_kinds_of_runs() -> None:
    with pytest.raises(UsageError, match=r"homes_17/ring/hourly-0\.27 vdn seed 0' in 2 ways"):
        runs_of(load_suite("shift"), Overrides(methods=["vdn"]))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (Overrides(methods=["consensus-gosip"]), "--methods: unknown method .* did you mean 'consensus-gossip'"),
        (Overrides(variants=["fast"]), "--variants: .*allowed: '', 'slow', 'tuned'"),
        (Overrides(budgets=["average"]), "--budgets"),
        (Overrides(scenarios=["homes"]), "no run is left"),
        (Overrides(seeds=2, seed_list=[1]), "--seeds: leave it out with --seed-list"),
    ],
)
def test_a_mistake_on_the_command_line_names_the_option(chosen: Overrides, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runs_of(SUITE, chosen)


def test_a_setting_of_the_command_line_makes_variants_that_say_so() -> None:
    chosen = Overrides(seeds=1, scenarios=["ring/average-0.3"], settings=settings_from(["ppo.lr=1e-3", "copies=8"]))
    runs = {(run.method, run.variant): run for run in runs_of(SUITE, chosen)}
    assert runs.keys() == {
        ("serve_now", ""),
        ("random", ""),
        ("consensus-gossip", "slow ppo.lr=0.001 copies=8"),
        ("consensus-gossip", "tuned ppo.lr=0.001 copies=8"),
    }
    slow = runs["consensus-gossip", "slow ppo.lr=0.001 copies=8"].config
    assert (slow["ppo"]["lr"], slow["copies"], slow["dual"]["alpha"]) == (0.001, 8, 0.05)


def test_a_method_without_learning_can_be_set_by_itself() -> None:
    chosen = Overrides(methods=["lookahead"], scenarios=["star/average-0.3"], settings={"horizon": 24})
    (run,) = runs_of(SUITE, chosen)
    assert (run.variant, run.config["horizon"]) == ("horizon=24", 24)


@pytest.mark.parametrize(
    ("texts", "methods", "said"),
    [
        (["ppo.lr"], [], r"--set: 'ppo\.lr' is not NAME=VALUE; allowed: like ppo\.lr=1e-3"),
        (["=3"], [], "--set: '=3' is not NAME=VALUE"),
        (["copies=[1"], [], "--set: .* not valid YAML"),
        (["copies=1", "copies=2"], [], "--set: 'copies=2' is about the same setting as 'copies=1'"),
        (["ppo=3", "ppo.lr=1"], [], "--set: 'ppo.lr=1' is about the same setting as 'ppo=3'"),
        (["ppo={lr: 1}"], [], "--set: .* has several settings; give each by itself"),
        (["ppo.lrr=1"], [], r"--set: method 'consensus-gossip': unknown key 'ppo\.lrr'; see: accord settings cons"),
        (["ppo.lr=-1"], [], r"--set: .* key 'ppo\.lr': input should be greater than 0, got -1"),
        (["ppo.lr=true"], [], "key 'ppo.lr': true is neither a number nor a text; see: accord"),
        (["copies=yes"], [], "--set: method 'consensus-gossip': key 'copies': true is neither"),
        (["rule=gossip"], [], "--set: .*'rule' is fixed by the name"),
        (["horizon=24"], ["serve_now"], "--set: no method that is left has the settings horizon"),
    ],
)
def test_a_mistaken_setting_names_the_option(texts: list[str], methods: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runs_of(SUITE, Overrides(methods=methods, settings=settings_from(texts)))
