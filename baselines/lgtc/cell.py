"""The liquid-graph time-constant cell: states of agents that follow a contractive ODE on a communication graph.

Marino, Pacchierotti and Robuffo Giordano, "Liquid-Graph Time-Constant Network for Multi-Agent Systems Control" (arXiv
2404.13982), as used by "... via Dynamic Cluster Agreements" (arXiv 2503.02437). With graph filters
H_S(z) = Σ_{k=0..K} S^k z W_k over the normalised support S of the graph, rectifier ρ and a drive within ±1,

    f  = ρ(Â_S(x) + b_x) + ρ(B̂_S(u) + b_u)
    x' = −(b + f) ∘ x − Σ_{k=1..K} S^k x A_k + f ∘ tanh(B_S(u))

Tensors are [..., A, ·]: agents of one graph come last but one.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from accord.baselines.lgtc.gradients import unrolled
from accord.baselines.lgtc.graph_filters import Hops

Integration = Literal["euler", "closed_form"]
MARGIN = 0.1  # of the contraction rate that the regulariser asks for, per unit of time
FASTEST = 10.0  # sum of leak and biases beyond which the regulariser holds them down


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
        step: float,
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

    def forward(self, x: Tensor, u: Tensor, graph: Hops) -> Tensor:
        """The state after a step of time, [..., A, H].

        Args:
            x: State, [..., A, H].
            u: Input, held during the step, [..., A, inputs].
            graph: What agents hear over `taps` hops.
        """
        return self.advance(x, *self.inputs(u, graph), self.filters(), graph)

    def trajectory(self, x: Tensor, u: Tensor, graph: Hops) -> Tensor:
        """States after each of T steps of time, [T, ..., A, H], with inputs [T, ..., A, inputs]."""
        # All that does not depend on states is worked out for all steps at once.
        (driven, target), filters, graphs = self.inputs(u, graph), self.filters(), graph.each(len(u))
        if self._integration == "closed_form" and self._substeps == 1:
            return unrolled(x, driven, target, filters, self.leak_rate, self._step, graphs)
        states = []
        for t, here in enumerate(graphs):
            x = self.advance(x, driven[t], target[t], filters, here)
            states.append(x)
        return torch.stack(states)

    def inputs(self, u: Tensor, graph: Hops) -> tuple[Tensor, Tensor]:
        """What inputs [..., A, inputs] add to the rates, and where they drive states to, each [..., A, H]."""
        both = graph.hear(u) @ torch.cat([self.input_rate, self.drive], 1)
        rate, target = both.chunk(2, -1)
        return functional.relu(rate + self.input_bias), torch.tanh(target)

    def filters(self) -> tuple[Tensor, Tensor]:
        """Weights [2 H, (K + 1) H] and biases [2 H] of both filters of the state at once: of its rates, and -A."""
        coupling = functional.pad(-self.coupling, (0, 0, self._width, 0))  # no tap is a state itself
        return torch.cat([self.state_rate, coupling], 1).T, functional.pad(self.state_bias, (0, self._width))

    def advance(self, x: Tensor, driven: Tensor, target: Tensor, filters: tuple[Tensor, Tensor], graph: Hops) -> Tensor:
        """The state after a step of time, given what `inputs` makes of the input, and `filters`."""
        for _ in range(self._substeps):
            gate, pulled = self._terms(x, driven, filters, graph)
            rate, force = self.leak_rate + gate, pulled + gate * target
            if self._integration == "euler":
                x = x + self._step * (force - rate * x)
            else:
                x = torch.lerp(force / rate, x, torch.exp(-self._step * rate))
        return x

    @property
    def leak_rate(self) -> Tensor:
        """B > 0, [H]."""
        return functional.softplus(self.leak)

    def derivative(self, x: Tensor, u: Tensor, graph: Hops) -> Tensor:
        """x', [..., A, H]."""
        driven, target = self.inputs(u, graph)
        gate, pulled = self._terms(x, driven, self.filters(), graph)
        return pulled + gate * target - (self.leak_rate + gate) * x

    def _terms(self, x: Tensor, driven: Tensor, filters: tuple[Tensor, Tensor], graph: Hops) -> tuple[Tensor, Tensor]:
        """F and minus the coupling, each [..., A, H]."""
        steered, pulled = functional.linear(graph.hear(x), *filters).chunk(2, -1)
        return functional.relu(steered) + driven, pulled

    def contraction_rate(self) -> Tensor:
        """What two trajectories under one input approach each other by at least, per unit of time, where |x| ≤ 1.

        Minus a bound on the Euclidean log-norm of the Jacobian −diag(b + f) − Σ S^k ⊗ A_kᵀ + ∂f/∂x ∘ (tanh(·) − x),
        with ‖S‖ ≤ 1 and |tanh(·) − x| ≤ 2.
        """
        coupled = sum(torch.linalg.matrix_norm(part, 2) for part in self.coupling.chunk(self.taps))
        steered = sum(torch.linalg.matrix_norm(part, 2) for part in self.state_rate.chunk(self.taps + 1))
        return self.leak_rate.min() - coupled - 2 * steered

    def penalty(self) -> Tensor:
        """Soft bounds on the contraction rate, from below, and on leak and biases, of which rates are made, from above.

        Both concern the differential equation; a policy takes steps of it with the rates at their beginning. The second
        is a fuse: trained cells are at 2 there, with or without it.
        """
        fastest = self.leak_rate.max() + self.state_bias.max() + self.input_bias.max()
        return functional.softplus(MARGIN - self.contraction_rate()) + functional.softplus(fastest - FASTEST)
