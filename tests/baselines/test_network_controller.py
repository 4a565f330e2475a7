"""A network as a controller."""

import torch

from accord.baselines.network_controller import NetworkController
from accord.envs import make


def test_it_acts_by_its_network_on_each_agents_own_observation() -> None:
    task = make("paper_seven/path/average-0.27")
    step = task.reset(2, torch.Generator().manual_seed(0))
    net = torch.nn.Linear(task.spec.obs_dim, task.spec.action.size, bias=False)
    torch.nn.init.constant_(net.weight, 0.25)
    actions = NetworkController(net).act(step)
    assert actions.shape == (2, 7, task.spec.action.size)
    assert torch.allclose(actions, 0.25 * step.obs.sum(-1, keepdim=True).expand_as(actions), atol=1e-5)


def test_what_it_learned_can_be_stored_and_loaded() -> None:
    trained, fresh = (NetworkController(torch.nn.Linear(3, 1)) for _ in range(2))
    assert trained.parameters == 4
    fresh.load_state_dict(trained.state_dict())
    assert torch.equal(fresh.net.weight, trained.net.weight)
