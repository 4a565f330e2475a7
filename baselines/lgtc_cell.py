"""The liquid-graph time-constant cell: states of agents that follow a contractive ODE on a communication graph.

Marino, Pacchierotti and Robuffo Giordano, "Liquid-Graph Time-Constant Network for Multi-Agent Systems Control" (arXiv
2404.13982), as used by "... via Dynamic Cluster Agreements" (arXiv 2503.02437). With graph filters
H_S(z) = Σ_{k=0..K} S^k z W_k over the normalised support S of the graph, rectifier ρ and sigmoid-bounded drive,

    f  = ρ(Â_S(x) + b_x) + ρ(B̂_S(u) + b_u)
    x' = −(b + f) ∘ x − Σ_{k=1..K} S^k x A_k + f ∘ tanh(B_S(u))

Tensors are [..., A, ·]: agents of one graph come last but one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Propagate = Callable[[Tensor, int], Tensor]  # z [..., A, F] and K to its taps S^0 z, ..., S^K z, [..., A, K + 1, F]
Integration = Literal["euler", "closed_form"]
MARGIN = 0.1  # of the contraction rate that the regulariser asks for, per unit of time
FASTEST = 10.0  # rate of a state beyond which the regulariser holds it down, inputs and neighbours left out


class LGTCCell(nn.Module):
    """One step of the states of all agents."""

    def __init__(
        self,
        inputs: int,
        width: int,
        taps: int,
        generator: torch.Generator,
        *,
        integration: Integration = "closed_form",
        step: float = 0.1,
        substeps: int = 1,
    ) -> None:
        """Set up.

        Args:
            inputs: Width of u.
            width: H, of a state.
            taps: K, hops of a filter.
            generator: Source of the first weights.
            integration: Explicit Euler, or exact for the rates and couplings at the beginning of a step.
            step: Time that one call advances.
            substeps: Steps of the integration in it.
        """
        super().__init__()
        self.taps, self._width = taps, width
        self._integration, self._step, self._substeps = integration, step / substeps, substeps

        def filter_of(features: int, hops: int, gain: float) -> nn.Parameter:
            weight = torch.empty(features * hops, width, device=generator.device)
            nn.init.orthogonal_(weight, gain, generator=generator)
            return nn.Parameter(weight)

        self.state_rate = filter_of(width, taps + 1, 0.1)  # Â
        self.input_rate = filter_of(inputs, taps + 1, 1.0)  # B̂
        self.drive = filter_of(inputs, taps + 1, 1.0)  # B
        self.coupling = filter_of(width, taps, 0.1)  # A_1 .. A_K
        self.state_bias = nn.Parameter(torch.zeros(width, device=generator.device))
        self.input_bias = nn.Parameter(torch.zeros(width, device=generator.device))
        # b is its softplus: 1 at the start.
        self.leak = nn.Parameter(torch.full((width,), math.log(math.e - 1), device=generator.device))

    def forward(self, x: Tensor, u: Tensor, propagate: Propagate) -> Tensor:
        """The state after a step of time, [..., A, H].

        Args:
            x: State, [..., A, H].
            u: Input, held during the step, [..., A, inputs].
            propagate: What agents hear over `taps` hops.
        """
        return self.advance(x, *self.inputs(u, propagate), propagate)

    def inputs(self, u: Tensor, propagate: Propagate) -> tuple[Tensor, Tensor]:
        """What inputs [..., A, inputs] add to the rates, and where they drive states to, each [..., A, H]."""
        heard = propagate(u, self.taps).flatten(-2)
        return functional.relu(heard @ self.input_rate + self.input_bias), torch.tanh(heard @ self.drive)

    def advance(self, x: Tensor, driven: Tensor, target: Tensor, propagate: Propagate) -> Tensor:
        """The state after a step of time, given what `inputs` makes of the input."""
        leak = self.leak_rate
        for _ in range(self._substeps):
            rate, coupled = self.terms(x, driven, propagate)
            force = (rate - leak) * target - coupled
            if self._integration == "euler":
                x = x + self._step * (force - rate * x)
            else:
                rest = force / rate
                x = rest + (x - rest) * torch.exp(-self._step * rate)
        return x

    @property
    def leak_rate(self) -> Tensor:
        """B > 0, [H]."""
        return functional.softplus(self.leak)

    def terms(self, x: Tensor, driven: Tensor, propagate: Propagate) -> tuple[Tensor, Tensor]:
        """Rates b + f and the coupling Σ S^k x A_k, each [..., A, H]."""
        taps = propagate(x, self.taps)
        rate = self.leak_rate + functional.relu(taps.flatten(-2) @ self.state_rate + self.state_bias) + driven
        return rate, taps[..., 1:, :].flatten(-2) @ self.coupling

    def derivative(self, x: Tensor, u: Tensor, propagate: Propagate) -> Tensor:
        """x', [..., A, H]."""
        driven, target = self.inputs(u, propagate)
        rate, coupled = self.terms(x, driven, propagate)
        return (rate - self.leak_rate) * target - coupled - rate * x

    def contraction_rate(self) -> Tensor:
        """What two trajectories under one input approach each other by at least, per unit of time, where |x| ≤ 1.

        Minus a bound on the Euclidean log-norm of the Jacobian −diag(b + f) − Σ S^k ⊗ A_kᵀ + ∂f/∂x ∘ (tanh(·) − x),
        with ‖S‖ ≤ 1 and |tanh(·) − x| ≤ 2.
        """
        coupled = sum(torch.linalg.matrix_norm(part, 2) for part in self.coupling.chunk(self.taps))
        steered = sum(torch.linalg.matrix_norm(part, 2) for part in self.state_rate.chunk(self.taps + 1))
        return self.leak_rate.min() - coupled - 2 * steered

    def penalty(self) -> Tensor:
        """Soft bounds on the contraction rate, from below, and on the rate of states that hear nothing, from above."""
        fastest = self.leak_rate.max() + self.state_bias.max() + self.input_bias.max()
        return functional.softplus(MARGIN - self.contraction_rate()) + functional.softplus(fastest - FASTEST)


def support(links: Tensor) -> Tensor:
    """S = D^-1/2 A D^-1/2 of adjacencies [..., A, A]; a lone agent hears nothing."""
    degree = links.sum(-1).clamp_min(1.0)
    return links * degree.rsqrt()[..., None] * degree.rsqrt()[..., None, :]


def over(matrix: Tensor) -> Propagate:
    """Filters over a dense support [..., A, A], for training."""

    def propagate(z: Tensor, taps: int) -> Tensor:
        hops = [z]
        for _ in range(taps):
            hops.append(matrix @ hops[-1])
        return torch.stack(hops, -2)

    return propagate
