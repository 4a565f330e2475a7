"""The LGTC cell: contraction where its regulariser says so, integrations that agree, locality."""

import pytest
import torch
from torch import Tensor

from accord.baselines.lgtc.cell import LGTCCell
from accord.baselines.lgtc.graph_filters import Hops, over
from accord.envs.network import Network

AGENTS, WIDTH, INPUTS, TAPS = 6, 5, 3, 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cell(**given: object) -> LGTCCell:
    return LGTCCell(INPUTS, WIDTH, TAPS, seeded(), **{"step": 0.1, **given}).double()  # type: ignore[arg-type]


def ring() -> Hops:
    links = torch.zeros(AGENTS, AGENTS)
    network = Network.build("ring", AGENTS)
    links[network.sources, network.targets] = 1.0
    return over(links.double(), TAPS)


def drawn(*shape: int, seed: int = 1, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def trained(made: LGTCCell, steps: int = 300) -> LGTCCell:
    """By its regulariser alone."""
    optimiser = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        made.penalty().backward()
        optimiser.step()
    return made


def scrambled(made: LGTCCell) -> LGTCCell:
    """With filters of the state that are too strong to contract."""
    with torch.no_grad():
        for part in (made.state_rate, made.coupling):
            part.mul_(20.0)
    return made


def log_norm(made: LGTCCell, x: Tensor, u: Tensor, graph: Hops) -> float:
    """Largest eigenvalue of the symmetric part of the Jacobian at a state."""
    size = AGENTS * WIDTH

    def flat(state: Tensor) -> Tensor:
        return made.derivative(state.view(AGENTS, WIDTH), u, graph).flatten()

    jacobian = torch.autograd.functional.jacobian(flat, x.flatten())
    assert jacobian.shape == (size, size)
    return float(torch.linalg.eigvalsh((jacobian + jacobian.T) / 2).max())


def test_filters_are_those_of_the_network() -> None:
    network, z = Network.build("ring", AGENTS), drawn(2, AGENTS, 4)
    torch.testing.assert_close(ring().hear(z), network.propagate(z, TAPS).flatten(-2))


def test_integrations_agree_as_the_step_shrinks() -> None:
    x, u, graph = drawn(AGENTS, WIDTH, scale=0.5), drawn(AGENTS, INPUTS, seed=2), ring()
    errors = []
    for substeps in (1, 10, 100):
        euler, closed = (cell(integration=kind, substeps=substeps) for kind in ("euler", "closed_form"))
        errors.append((euler(x, u, graph) - closed(x, u, graph)).norm().item())
    assert errors[0] > 5 * errors[1] > 25 * errors[2] > 0


def test_both_integrations_follow_the_derivative() -> None:
    x, u, graph = drawn(AGENTS, WIDTH, scale=0.5), drawn(AGENTS, INPUTS, seed=2), ring()
    small = 1e-6
    for kind in ("euler", "closed_form"):
        made = cell(integration=kind, step=small)
        slope = (made(x, u, graph) - x) / small
        torch.testing.assert_close(slope, made.derivative(x, u, graph), rtol=1e-4, atol=1e-4)


def test_the_rate_bounds_the_log_norm_wherever_states_stay_within_one() -> None:
    graph = ring()
    for made in (cell(), trained(scrambled(cell()))):
        rate = float(made.contraction_rate().detach())
        for seed in range(20):
            x = torch.rand(AGENTS, WIDTH, generator=seeded(seed), dtype=torch.float64) * 2 - 1
            assert log_norm(made, x, drawn(AGENTS, INPUTS, seed=seed), graph) <= -rate + 1e-9


def test_regularised_trajectories_meet_and_others_need_not() -> None:
    graph = ring()
    loose, tight = scrambled(cell()), trained(scrambled(cell()))
    assert loose.contraction_rate() < 0 < tight.contraction_rate()
    far = {}
    for name, made in (("loose", loose), ("tight", tight)):
        first, second = drawn(AGENTS, WIDTH, seed=3), drawn(AGENTS, WIDTH, seed=4)
        for t in range(300):
            u = drawn(AGENTS, INPUTS, seed=100 + t)
            first, second = made(first, u, graph), made(second, u, graph)
        far[name] = float((first - second).norm().detach())
    assert far["tight"] < 1e-3
    assert far["loose"] > 100 * far["tight"]


def test_an_agent_feels_others_within_its_hops_alone() -> None:
    made, graph = cell(), ring()
    x, u = drawn(AGENTS, WIDTH, scale=0.5), drawn(AGENTS, INPUTS, seed=2)
    other = u.clone()
    other[0] += 1.0
    moved = (made(x, u, graph) - made(x, other, graph)).abs().sum(-1) > 1e-12
    assert moved.tolist() == [True, True, True, False, True, True]  # the ring's other end is three hops away


@pytest.mark.parametrize("kind", ["euler", "closed_form"])
def test_a_lone_agent_has_its_own_dynamics(kind: str) -> None:
    made = cell(integration=kind)
    alone, one = (over(torch.zeros(size, size, dtype=torch.float64), TAPS) for size in (AGENTS, 1))
    x, u = drawn(AGENTS, WIDTH, scale=0.5), drawn(AGENTS, INPUTS, seed=2)
    whole = made(x, u, alone)
    single = torch.cat([made(x[i : i + 1], u[i : i + 1], one) for i in range(AGENTS)])
    torch.testing.assert_close(whole, single)
