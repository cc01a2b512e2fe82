"""Gradients with respect to a network's entry, with and without noise on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from vitruvius.tools.passes.copies import BATCH_NORMS
from vitruvius.tools.passes.forward_backward import gradients_of
from vitruvius.tools.passes.hooks import Record, record

Of = Literal["outputs", "targets"]

NOISE_SEED = 1
SCALES = (0.1, 10.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class Jacobian:
    """Gradient of a sum with respect to the entry [B, ...].

    The sum is over all outputs, or over the target (`Record.target`: the representation where a
    network announces one).
    """

    entry: Tensor
    known: dict[str, float] = field(default_factory=dict)  # scores of it, by name


def jacobians(
    found: Record, kinds: Iterable[Of], *, parts: int = 1, keep: bool = True
) -> list[dict[Of, Jacobian]]:
    """Returns the gradients of a recorded pass, for each part of its batch.

    Args:
        found: the pass.
        kinds: of sums.
        parts: of equal length, one behind the other in the batch.
        keep: whether the graph is kept.
    """
    wanted = set(kinds)
    rows: list[dict[Of, Jacobian]] = [{} for _ in range(parts)]
    is_same = found.representation is None
    if "outputs" in wanted and not is_same:
        entry = gradients_of(found.output.sum(), [found.entry], keep=keep or "targets" in wanted)
        for row, part in zip(rows, entry[0].chunk(parts), strict=True):
            row["outputs"] = Jacobian(entry=part)
    if "targets" in wanted or is_same:
        entry = gradients_of(found.target.sum(), [found.entry], keep=keep)
        for row, part in zip(rows, entry[0].chunk(parts), strict=True):
            row["targets"] = Jacobian(entry=part)
            if is_same:
                row["outputs"] = row["targets"]
    return rows


def noised_jacobians(
    twin: nn.Module, inputs: Tensor, factor: float, kinds: Iterable[Of]
) -> dict[float, dict[Of, Jacobian]]:
    """Returns the gradients after normal draws are added to the entry, by factor.

    The noise is factor x v x e, with v the variance of the entry over the batch, place by place,
    and e standard normal, the same for every factor. Where no batch normalisation mixes
    examples, one pass over a longer batch serves all of `SCALES`.

    Args:
        twin: from `create_twin`.
        inputs: [B, ...], at least two.
        factor: of the noise, one of `SCALES`.
        kinds: of sums.
    """
    mixes = any(isinstance(module, BATCH_NORMS) for module in twin.modules())
    factors = (factor,) if mixes else SCALES

    def add_noise(entry: Tensor) -> Tensor:
        entry = entry[: len(inputs)]
        generator = torch.Generator().manual_seed(NOISE_SEED)
        noise = torch.randn(entry.shape, generator=generator).to(entry) * entry.var(dim=0)
        return torch.cat([entry + scale * noise for scale in factors])

    tiled = inputs.repeat(len(factors), *[1] * (inputs.dim() - 1))
    found = record(twin, tiled, add_noise, taps_only=True)
    rows = jacobians(found, kinds, parts=len(factors), keep=False)
    return dict(zip(factors, rows, strict=True))


def saliency(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Returns the sum of |value x gradient| over pairs of tensors, in float64."""
    return sum(float((v.detach() * g.detach()).abs().sum(dtype=torch.float64)) for v, g in pairs)
