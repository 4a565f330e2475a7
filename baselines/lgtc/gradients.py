"""The two parts of LGTC that its training spends its time on, with gradients worked out by hand.

Automatic differentiation is held up there by many small operations: once per time step of a trajectory, and once per
pass over the embeddings of all consumers of all agents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from accord.baselines.lgtc.graph_filters import Hops


def unrolled(
    x: Tensor,
    driven: Tensor,
    target: Tensor,
    filters: tuple[Tensor, Tensor],
    leak: Tensor,
    step: float,
    graphs: Sequence[Hops],
) -> Tensor:
    """States after each of T steps of the closed form, as `LGTCCell.advance` gives them one by one, [T, ..., A, H].

    Args:
        x: State before, [..., A, H].
        driven: What inputs add to the rates, [T, ..., A, H].
        target: Where they drive states to, of the same shape.
        filters: Weights and biases, see `LGTCCell.filters`.
        leak: b, [H].
        step: Time that a step advances.
        graphs: What is heard over in each step.
    """
    return cast(Tensor, _Unrolled.apply(x, driven, target, *filters, leak, step, graphs))


def picked_and_pooled(embedded: Tensor, asked: Tensor) -> Tensor:
    """What attention picks of M embeddings, and their mean, [..., 2, E].

    Args:
        embedded: [..., M, E].
        asked: Queries, [..., E].
    """
    return cast(Tensor, _Picked.apply(embedded, asked))


def attention(embedded: Tensor, asked: Tensor) -> Tensor:
    """Softmax of scaled products of queries [..., E] and embeddings [..., M, E], [..., M]."""
    scores = (asked[..., None, :] @ embedded.mT).squeeze(-2)
    return (scores / math.sqrt(embedded.shape[-1])).softmax(-1)


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        driven: Tensor,
        target: Tensor,
        weight: Tensor,
        bias: Tensor,
        leak: Tensor,
        step: float,
        graphs: Sequence[Hops],
    ) -> Tensor:
        first, kept = x, []
        for graph, added, goal in zip(graphs, driven.unbind(), target.unbind(), strict=True):
            heard = graph.hear(x)
            mixed = functional.linear(heard, weight, bias)
            steered, pulled = mixed.chunk(2, -1)
            gate = steered.relu().add_(added)
            rate = gate + leak
            rest = torch.addcmul(pulled, gate, goal).div_(rate)
            x = rest.lerp_(x, rate.mul_(-step).exp_())
            kept.append((x, heard, mixed))
        states, all_heard, all_mixed = (torch.stack(values) for values in zip(*kept, strict=True))
        ctx.save_for_backward(first, states, all_heard, all_mixed, driven, target, weight, leak)
        ctx.step, ctx.graphs = step, graphs
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """A step maps the gradient g by its states to g times a few coefficients, known beforehand for all steps."""
        first, states, heard, mixed, driven, target, weight, leak = ctx.saved_tensors
        steered, pulled = mixed.chunk(2, -1)
        gate = steered.relu().add_(driven)
        rate = gate + leak
        rest = torch.addcmul(pulled, gate, target).div_(rate)
        decay = torch.exp(-ctx.step * rate)
        by_force = (1 - decay) / rate
        before = torch.cat([first[None], states[:-1]])
        by_rate = -ctx.step * decay * (before - rest) - by_force * rest
        by_gate = torch.addcmul(by_rate, by_force, target)
        by_mixed = torch.stack([by_gate * (steered > 0), by_force], -2)
        (gradient,) = gradients
        carried, reached, of_mixed = torch.zeros_like(first), [], []
        for t in reversed(range(len(states))):
            g = gradient[t] + carried
            through = (g[..., None, :] * by_mixed[t]).flatten(-2)
            carried = torch.addcmul(ctx.graphs[t].back(through @ weight), g, decay[t])
            reached.append(g)
            of_mixed.append(through)
        g, through = torch.stack(reached[::-1]), torch.stack(of_mixed[::-1]).flatten(0, -2)
        of_weight = through.T @ heard.flatten(0, -2)
        of_leak = (g * by_rate).flatten(0, -2).sum(0)
        return carried, g * by_gate, g * by_force * gate, of_weight, through.sum(0), of_leak, None, None


class _Picked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, embedded: Tensor, asked: Tensor) -> Tensor:
        weights = attention(embedded, asked)
        ctx.save_for_backward(embedded, asked, weights)
        return torch.stack([weights, torch.full_like(weights, 1 / weights.shape[-1])], -2) @ embedded

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        embedded, asked, weights = ctx.saved_tensors
        (gradient,) = gradients
        picked, pooled = gradient.unbind(-2)
        of_weights = (picked[..., None, :] @ embedded.mT).squeeze(-2)
        of_scores = weights * (of_weights - (weights * of_weights).sum(-1, keepdim=True))
        of_scores = of_scores / math.sqrt(embedded.shape[-1])
        shares = torch.stack([of_scores, weights, torch.full_like(weights, 1 / weights.shape[-1])], -1)
        of_embedded = shares @ torch.stack([asked, picked, pooled], -2)
        return of_embedded, (of_scores[..., None, :] @ embedded).squeeze(-2)
