import pytest
import torch
from torch import Tensor

from accord.baselines.audit import FAR, STEPS, audit_controllers, audit_method, spread_of_faults
from accord.baselines.base import Controller
from accord.benchmark.launch.runner import ended_badly
from accord.benchmark.report.locality import audit_records
from accord.benchmark.specs.resolved import resolve_run
from accord.benchmark.specs.run import make_run
from accord.envs.allocation.scenario import AUDITED_AT, AllocationScenario
from accord.envs.catalogue import resolve
from accord.envs.errors import UsageError
from accord.envs.task import Step

PATH = "paper_seven/path/average-0.27"


class Cheat(Controller):
    """Claims to be decentralised."""

    def act(self, step: Step) -> Tensor:
        return torch.stack([step.obs[..., 0], self.look(step.obs)[..., 0]], -1)

    def look(self, obs: Tensor) -> Tensor:
        raise NotImplementedError


class ReadsItsNeighbour(Cheat):
    def look(self, obs: Tensor) -> Tensor:
        return obs.roll(1, 1)


class ReadsTheMean(Cheat):
    def look(self, obs: Tensor) -> Tensor:
        return obs.mean(1, keepdim=True).expand_as(obs)


class ClaimsManyRoundsInSilence(ReadsTheMean):
    rounds = 100


class TakesTheMeanOfTheUsage(Cheat):
    level = torch.zeros(())

    def look(self, obs: Tensor) -> Tensor:
        return obs * 0 + self.level

    def feedback(self, step: Step) -> None:
        self.level = step.usage.mean()


class ReadsANeighboursQueue(Cheat):
    queue = torch.zeros(1, 7)

    def look(self, obs: Tensor) -> Tensor:
        return obs * 0 + self.queue.roll(1, 1)[..., None]

    def feedback(self, step: Step) -> None:
        self.queue = step.measures["waiting_load"]


class IsHandedTheModel(Cheat):
    privileged = True

    def look(self, obs: Tensor) -> Tensor:
        return obs


class TalksButReadsFurther(ReadsTheMean):
    rounds = 1

    def act(self, step: Step) -> Tensor:
        self.network.mix(step.obs)
        return super().act(step)


class Honest(Cheat):
    rounds = 1

    def look(self, obs: Tensor) -> Tensor:
        return self.network.mix(obs)


class HearsAsFarAsItSays(Cheat):
    rounds = 2

    def look(self, obs: Tensor) -> Tensor:
        return self.network.mix(obs, self.rounds)


@pytest.mark.parametrize(
    "cheat",
    [
        ReadsItsNeighbour,
        ReadsTheMean,
        ClaimsManyRoundsInSilence,
        TakesTheMeanOfTheUsage,
        ReadsANeighboursQueue,
        IsHandedTheModel,
        TalksButReadsFurther,
    ],
)
def test_a_cheat_that_claims_to_be_decentralised_fails(cheat: type[Cheat]) -> None:
    audit = audit_controllers(cheat(), cheat(), resolve(PATH))
    assert not audit.passed
    assert audit.verdict == "FAILED"


@pytest.mark.parametrize("cheat", [ReadsItsNeighbour, ReadsTheMean, TalksButReadsFurther])
def test_a_cheat_fails_where_links_move(cheat: type[Cheat]) -> None:
    audit = audit_controllers(cheat(), cheat(), resolve(AUDITED_AT))
    assert audit.verdict == "FAILED"
    assert audit.reach[0] == FAR  # to agents that nobody's messages come to


def test_messages_follow_links_that_move() -> None:
    audit = audit_controllers(HearsAsFarAsItSays(), HearsAsFarAsItSays(), resolve(AUDITED_AT))
    assert audit.verdict == "neighbours, 2 hop/step"
    assert audit.reach[0] == 2  # what is heard is not remembered


@pytest.mark.parametrize(
    ("method", "verdict"),
    [("lgtc-ippo", "neighbours, 2 hop/step"), ("ippo-attention", "own numbers")],
)
def test_a_run_is_audited_where_links_move_if_they_did(method: str, verdict: str) -> None:
    spec = make_run("allocation_10x2/radius-1/steady", method, 0)
    assert audit_records([ended_badly(resolve_run(spec), "done", "")]) == {(method, ""): verdict}


def test_discrete_actions_are_not_audited() -> None:
    with pytest.raises(UsageError, match="'games/climbing' has discrete actions; allowed"):
        audit_method("ippo", address="games/climbing")


def test_who_claims_nothing_may_read_everything() -> None:
    class Central(ReadsTheMean):
        decentralised = False

    audit = audit_controllers(Central(), Central(), resolve(PATH))
    assert audit.passed
    assert audit.verdict == "central"
    assert audit.reach[0] == 6


def test_talk_before_acting_travels_at_once() -> None:
    audit = audit_controllers(Honest(), Honest(), resolve(PATH))
    assert audit.passed
    assert audit.reach[0] == 1


@pytest.mark.parametrize("rounds", [1, 3])
def test_gossip_travels_one_hop_per_round_and_no_more(rounds: int) -> None:
    audit = audit_method("consensus-gossip", {"dual": {"rounds": rounds}})
    # The last hop of the path can be lost where multipliers are held at zero.
    hops = [rounds * (n + 1) for n in range(len(audit.reach))]
    assert [far for far, may in zip(audit.reach, hops, strict=True) if may < 6] == [may for may in hops if may < 6]
    assert max(audit.reach) >= 5
    assert list(audit.allowed) == hops
    assert audit.verdict == f"neighbours, {rounds} hop/step"
    assert all(far <= may for far, may in zip(audit.reach, audit.allowed, strict=True))


def test_independent_agents_keep_to_themselves() -> None:
    audit = audit_method("consensus-independent")
    assert set(audit.reach) == {0}
    assert audit.verdict == "own numbers"
    assert not audit.talks


def test_an_audit_watches_for_longer_than_the_network_is_wide() -> None:
    assert int(resolve(PATH).network().distances_from(0).max()) < STEPS


def test_a_wrong_name_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="unknown method"):
        audit_method("nobody")


def test_a_method_that_cannot_act_where_it_is_audited_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AllocationScenario, "audited_at", "games/climbing")
    spec = make_run("allocation_5x1/radius-1/steady", "lgtc-ippo", 0)
    found = audit_records([ended_badly(resolve_run(spec), "done", "")])["lgtc-ippo", ""]
    assert found.startswith("not audited: audit: 'games/climbing' has discrete actions")


@pytest.mark.parametrize("fault", ["liar_says-1", "dead_idle-0"])
def test_a_lie_and_a_silence_travel_one_hop_per_step(fault: str) -> None:
    address = f"paper_seven/path+{fault}/average-0.05"  # so low that no multiplier stays at zero
    spread = spread_of_faults("consensus-gossip", address)
    assert spread.hops[:4] == (0, 1, 2, 3)
    assert spread.allowed == tuple(range(STEPS))
    assert all(far <= may for far, may in zip(spread.hops, spread.allowed, strict=True))
    assert spread.agents[-1] == 6
    assert set(spread_of_faults("consensus-independent", address).agents) == {0}


def test_nobody_is_reached_where_nobody_fails() -> None:
    with pytest.raises(UsageError, match="no agent fails or lies"):
        spread_of_faults("consensus-gossip", "paper_seven/path+loss-0.3/average-0.2")
