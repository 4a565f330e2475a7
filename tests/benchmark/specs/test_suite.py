import json
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from accord.benchmark.specs.expand import check_runs, runs_of
from accord.benchmark.specs.limits import MOST, MOST_SEEDS
from accord.benchmark.specs.overrides import Overrides
from accord.benchmark.specs.run import EffortSpec, RunSpec, make_run
from accord.benchmark.specs.suite import load_suite, suite_names
from accord.envs.errors import UsageError
from accord.envs.third_party import citylearn

VALID = """
description: two districts
seeds: 3
effort: {steps: 1000}
entries:
  - district: paper_seven
    networks: [ring, star]
    budgets: [average-0.3, average-0.4]
    methods: [oracle, serve_now, random, consensus-gossip]
    variants:
      equal_steps: {dual: {alpha: 0.05, eta: 0.05}}
      tuned_steps: {}
  - district: campus_seven
    networks: [ring]
    budgets: [hourly-0.35]
    methods: [serve_now, consensus-gossip]
    seeds: 5
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "mine.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("seeds: 3", "seeds: 3\nsedes: 4", "'sedes'", "unknown key"),
        ("networks: [ring, star]", "netwroks: [ring]", "'entries.0.netwroks'", "unknown key"),
        ("seeds: 3", "seeds: 3\nseeds: 4", "'seeds'", "given twice, in line 4"),
        ("tuned_steps: {}", "equal_steps: {}", "'equal_steps'", "given twice"),
        ("{steps: 1000}", f"{{steps: {MOST + 1}}}", "'effort.steps'", f"less than or equal to {MOST}, got {MOST + 1}"),
        ("seeds: 3", "seeds: many", "'seeds'", "valid integer, unable to parse string as an integer, got 'many'"),
        ("seeds: 3", "seeds: 0", "'seeds'", "greater than or equal to 1, got 0"),
        ("seeds: 3", f"seeds: {10**29}", "'seeds'", f"less than or equal to {MOST_SEEDS}, got {10**29}"),
        ("{steps: 1000}", "{steps: 1000, seconds: .inf}", "'effort.seconds'", "finite number, got inf"),
        ("alpha: 0.05", "alpha: .inf", "'dual.alpha'", "finite number, got inf"),
        ("{dual: {alpha: 0.05, eta: 0.05}}", "{draw: {nu_low: 5}}", "nu_low", "nu_low 5 is above nu_high 0"),
        ("{dual: {alpha: 0.05, eta: 0.05}}", "{ppo: {hidden: [0]}}", "'ppo.hidden.0'", "greater than 0, got 0"),
        ("two districts", "[" + "x, " * 200 + "]", "'description'", "got ['x', 'x', 'x', 'x', ...]"),
        ("seeds: 3", "seeds: yes", "'seeds'", "true is neither a number nor a text"),
        ("alpha: 0.05", "alpha: true", "'dual.alpha'", "true is neither a number nor a text"),
        ("seeds: 3", f"seeds: 3\nname: {'x' * 101}", "'name'", "at most 100 characters"),
        ("{steps: 1000}", "{steps: -5}", "'effort.steps'", "greater than 0, got -5"),
        ("{steps: 1000}", "{steps: 1000, seconds: soon}", "'effort.seconds'", "valid number"),
        ("methods: [oracle,", "methods: [orcale,", "'entries.0.methods'", "did you mean 'oracle'?"),
        ("[ring, star]", "[]", "'entries.0'", "either scenarios, or district, networks and budgets"),
        (
            "    networks: [ring]\n",
            "    networks: [ring]\n    scenarios: [games/qtran]\n",
            "'entries.1'",
            "either scenarios",
        ),
        ("paper_seven", "paper_eight", "'entries.0'", "unknown district 'paper_eight'; allowed: paper_seven"),
        ("[ring, star]", "[ring, stra]", "'entries.0'", "stra"),
        ("hourly-0.35", "hourly-lots", "'entries.1'", "hourly-lots"),
        ("{alpha: 0.05,", "{alhpa: 0.05,", "'entries.0.variants.equal_steps'", "unknown key 'dual.alhpa'"),
        ("{alpha: 0.05,", "{alpha: -1,", "'entries.0.variants.equal_steps'", "'dual.alpha'"),
        ("tuned_steps: {}", "tuned_steps: {rule: gossip}", "'entries.0.variants.tuned_steps'", "fixed by the name"),
    ],
)
def test_a_mistake_in_a_suite_names_file_key_and_what_is_allowed(
    write: Any, old: str, new: str, key: str, said: str
) -> None:
    assert old in VALID
    path = write(VALID.replace(old, new, 1))
    with pytest.raises(UsageError) as error:
        runs_of(load_suite(path))
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert key in text
    assert said in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a list", "a suite is a mapping"),
        ("a: [", "not valid YAML"),
        ("1: 2", "key"),
        ("[" * 5000, "not valid YAML: it is nested too deeply"),
        ("seeds: !!int two", "not valid YAML: invalid literal for int"),
        ("seeds: !!timestamp x", "not valid YAML"),
        ("seeds: 2001-13-45", "not valid YAML: month must be in 1..12"),
        ("seeds: 1:30", "'1:30' in line 1 is no number; allowed: like 30"),
        ("seeds: 010", "'010' in line 1 is no number"),
        ("seconds: 1:30.5", "'1:30.5' in line 1 is no number"),
    ],
)
def test_a_file_that_is_no_suite_is_named(write: Any, content: str, said: str) -> None:
    path = write(content)
    with pytest.raises(UsageError, match=said) as error:
        load_suite(path)
    assert path in str(error.value)


def test_unknown_suites_are_met_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'quick'"):
        load_suite("quikc")
    with pytest.raises(UsageError, match=r"nowhere\.yaml: No such file"):
        load_suite("nowhere.yaml")


def test_a_device_is_no_suite(tmp_path: Path) -> None:
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"endless\.yaml: no file"):
        load_suite(str(tmp_path / "endless.yaml"))


def test_aliases_that_multiply_are_refused_before_anything_is_made_of_them(write: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 9)]
    with pytest.raises(UsageError, match="with its aliases it has more than 100000 values"):
        load_suite(write("\n".join(lines)))
    with pytest.raises(UsageError, match=r"mine\.yaml: "):
        load_suite(write("description: &a [*a]"))


@pytest.mark.parametrize("name", suite_names())
def test_suites_that_come_with_accord_expand(name: str) -> None:
    # A hundred thousand buildings take a while to draw, and say no more of a suite than sixty-four.
    few = ["synthetic_64-week", "synthetic_64"] if name == "large" else []
    assert runs_of(load_suite(name), Overrides(seeds=1, scenarios=few))


def test_a_suite_expands_to_its_cross_products(write: Any) -> None:
    runs = runs_of(load_suite(write(VALID)))
    # Per scenario of the first entry: oracle 1, serve_now 1, random 3 seeds, gossip 2 variants of 3 seeds.
    assert len(runs) == 4 * (1 + 1 + 3 + 2 * 3) + (1 + 5)
    assert {run.suite for run in runs} == {"mine"}
    assert len({run.digest for run in runs}) == len(runs)
    assert runs == runs_of(load_suite(write(VALID)))


def test_an_entry_may_name_whole_addresses(write: Any) -> None:
    entry = "  - scenarios: [games/two_step, homes_17/ring/average-0.2]\n    methods: [random]\n"
    runs = runs_of(load_suite(write(VALID + entry)), Overrides(methods=["random"], seeds=1, budgets=["average-0.25"]))
    assert {run.scenario for run in runs} == {
        "games/two_step",
        "homes_17/ring/average-0.2",
        "paper_seven/ring/average-0.25",
        "paper_seven/star/average-0.25",
    }
    with pytest.raises(UsageError, match=r"key 'entries.2': address 'games/chess': unknown game 'chess'"):
        runs_of(load_suite(write(VALID + entry.replace("two_step", "chess"))))


def test_a_suite_expands_without_the_packages_of_its_scenarios_and_does_not_run(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(citylearn, "version", missing)
    address = "citylearn/campus_seven/ring/hourly-0.35"
    runs = runs_of(load_suite(write(VALID + f"  - scenarios: [{address}]\n    methods: [serve_now]\n")))
    assert runs[-1].scenario == address
    for check in (partial(check_runs, runs), partial(make_run, address, "serve_now", 0)):
        with pytest.raises(UsageError, match=f"scenario '{address}' needs the package citylearn: pip install"):
            check()
    check_runs(runs[:-1])


def test_settings_of_a_method_that_does_not_learn_are_not_dropped() -> None:
    assert make_run("paper_seven/ring/average-0.3", "lookahead", 0, settings={"horizon": 48}).config["horizon"] == 48
    with pytest.raises(UsageError, match="unknown key 'horizn'"):
        make_run("paper_seven/ring/average-0.3", "lookahead", 0, settings={"horizn": 48})
    with pytest.raises(UsageError, match="a bound has no settings"):
        make_run("paper_seven/ring/average-0.3", "oracle", 0, settings={"horizon": 48})


def test_a_spec_of_schema_1_is_written_without_what_came_later_and_not_used() -> None:
    plain, curve = spec(), spec(effort=EffortSpec(steps=1000, seconds=10, snapshots=5))
    assert plain.identity()["effort"] == {"steps": 1000, "seconds": 10.0, "snapshots": 0}
    assert curve.digest != plain.digest
    first = plain.model_copy(update={"schema_version": 1})
    assert first.identity()["effort"] == {"steps": 1000, "seconds": 10.0}
    assert not {"schema_version", "trained_on"} & first.identity().keys()
    used = curve.model_copy(update={"schema_version": 1, "trained_on": "paper_seven/ring/average-0.2"})
    assert used.identity()["effort"]["snapshots"] == 5
    assert used.identity()["trained_on"] == "paper_seven/ring/average-0.2"
    for written in (plain, first, used):
        assert RunSpec(**json.loads(json.dumps(written.identity()))) == written
        assert RunSpec.model_validate_json(written.model_dump_json()).digest == written.digest


def test_an_entry_may_have_an_effort_of_its_own(write: Any) -> None:
    suite = load_suite(write(VALID))
    own = suite.entries[-1].model_copy(update={"steps": 5, "seconds": 7.0})
    runs = runs_of(suite.model_copy(update={"entries": (*suite.entries[:-1], own)}))
    efforts = {(run.effort.steps, run.effort.seconds) for run in runs if run.effort}
    assert efforts == {(1000, 180.0), (5, 7.0)}


def spec(**changes: Any) -> RunSpec:
    usual: dict[str, Any] = {
        "address": "paper_seven/ring/average-0.3",
        "method": "consensus-gossip",
        "seed": 0,
        "suite": "s",
        "variant": "v",
        "settings": {"dual": {"alpha": 0.1}},
        "effort": EffortSpec(steps=1000, seconds=10),
    }
    return make_run(**(usual | changes))


def test_a_copy_has_a_digest_of_its_own() -> None:
    first, second = (make_run("games/climbing", "ippo", seed) for seed in (0, 1))
    assert first.digest != second.digest
    assert first.model_copy(update={"seed": 1}).digest == second.digest


def test_what_a_copy_changes_is_checked() -> None:
    for change in ({"seed": -1}, {"seed": MOST + 1}, {"sede": 1}, {"effort": {"steps": 0}}):
        with pytest.raises(UsageError, match="key '"):
            spec().model_copy(update=change)


def test_a_digest_outlives_being_written_and_read() -> None:
    again = RunSpec.model_validate_json(spec().model_dump_json())
    assert again == spec()
    assert again.digest == spec().digest
    assert len(spec().digest) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"address": "paper_seven/ring/average-0.4"},
        {"address": "paper_seven/star/average-0.3"},
        {"method": "consensus-primal_dual"},
        {"seed": 1},
        {"suite": "t"},
        {"variant": "w"},
        {"settings": {"dual": {"alpha": 0.2}}},
        {"effort": EffortSpec(steps=1001, seconds=10)},
        {"effort": EffortSpec(steps=1000, seconds=11)},
    ],
    ids=str,
)
def test_everything_that_a_result_depends_on_changes_the_digest(change: dict[str, Any]) -> None:
    assert spec(**change).digest != spec().digest


def test_settings_that_only_repeat_the_defaults_do_not_change_the_digest() -> None:
    assert spec(settings={"dual": {"alpha": 0.1}, "actions": "mean"}).digest == spec().digest
