"""Gradients with respect to a network's entry, with and without noise on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vitruvius.tools.graph import gradients_of
from vitruvius.tools.recording import Record, record

NOISE_SEED = 1


@dataclass(frozen=True, kw_only=True)
class Jacobian:
    """Gradients of two sums with respect to the entry, [B, ...] each, and of the hidden states.

    `output` is that of the summed outputs; `target` that of the summed representation, which
    published scores take where a network announces one. `saliency` is the latter's sum of
    |state x gradient| over all hidden states.
    """

    output: Tensor
    target: Tensor
    saliency: float


def jacobian(found: Record) -> Jacobian:
    """Returns the gradients of a recorded pass; its graph is kept."""
    states = found.states
    entry, *slopes = gradients_of(found.target.sum(), [found.entry, *states])
    at_output = entry
    if found.representation is not None:
        at_output = gradients_of(found.output.sum(), [found.entry])[0]
    return Jacobian(output=at_output, target=entry, saliency=saliency(states, slopes))


def noised_jacobian(twin: nn.Module, inputs: Tensor, factor: float) -> Jacobian:
    """Returns the gradients after normal draws are added to the entry.

    The noise is factor x v x e, with v the variance of the entry over the batch, place by place,
    and e standard normal, the same for every factor.

    Args:
        twin: from `create_twin`, without gradients for its weights.
        inputs: [B, ...], at least two.
        factor: of the noise.
    """

    def add_noise(entry: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(NOISE_SEED)
        draws = torch.randn(entry.shape, generator=generator).to(entry)
        return entry + factor * entry.var(dim=0) * draws

    return jacobian(record(twin, inputs, add_noise))


def saliency(tensors: list[Tensor], slopes: list[Tensor]) -> float:
    """Returns the sum of |value x gradient| over tensors, in float64."""
    return sum(
        float((tensor.detach() * slope.detach()).abs().sum(dtype=torch.float64))
        for tensor, slope in zip(tensors, slopes, strict=True)
    )
