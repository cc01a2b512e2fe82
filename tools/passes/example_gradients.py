"""Gradients of single examples: with respect to a network's entry, and what they have in common.

The first are Jacobians, with and without noise on the entry; the second is the tangent kernel, the
inner products of the gradients with respect to the weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.grad import conv1d_weight, conv2d_weight, conv3d_weight

from vitruvius.tools.passes.copies import BATCH_NORMS, DoesNotApply, weight_of
from vitruvius.tools.passes.forward_backward import Graph, gradients_of
from vitruvius.tools.passes.hooks import Call, Record, record

Of = Literal["outputs", "targets"]

NOISE_SEED = 1  # the same draws for every network: scores differ by the network alone
SCALES = (0.1, 10.0, 100.0)

KERNEL_EXAMPLES = 32

_WEIGHT_SLOPES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: conv1d_weight,
    nn.Conv2d: conv2d_weight,
    nn.Conv3d: conv3d_weight,
}


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


def tangent_kernel(graph: Graph, inputs: Tensor) -> Tensor:
    """Returns the inner products of the first examples' gradients: [n, n] in float64.

    The gradient of an example is that of its summed outputs with respect to the weights of
    convolutions and linear layers. One pass serves all examples: each layer's gradients are put
    together from what the layer took in and the gradient of what it gave out. Batch normalisation
    uses the whole batch's statistics as constants, for an example's own function depends on
    nothing else; TE-NAS (Chen et al. 2021, arXiv:2102.11535) lets gradients pass through them.

    Args:
        graph: whose twin has the statistics of the batch; it is left as it was.
        inputs: of the batch [B, ...]; the first `KERNEL_EXAMPLES` are used.

    Raises:
        DoesNotApply: if a layer mixes examples or pads with other things than zeros.
    """
    chosen = inputs[:KERNEL_EXAMPLES]
    norms = [module for module in graph.twin.modules() if isinstance(module, BATCH_NORMS)]
    for norm in norms:
        norm.eval()
    try:
        found = record(graph.twin, chosen)
        slopes = gradients_of(found.output.sum(), [call.given for call in found.layers])
    finally:
        for norm in norms:
            norm.train()
    by_weight: dict[int, list[tuple[Call, Tensor]]] = defaultdict(list)
    for call, slope in zip(found.layers, slopes, strict=True):
        by_weight[id(weight_of(call.module))].append((call, slope))
    kernel = torch.zeros(len(chosen), len(chosen), dtype=torch.float64, device=chosen.device)
    for uses in by_weight.values():
        gradients = _gradients(uses, len(chosen))
        kernel += gradients @ gradients.T
    return kernel


def _gradients(uses: list[tuple[Call, Tensor]], n: int) -> Tensor:
    """Returns every example's gradient of one weight, over all its uses: [n, weights]."""
    if isinstance(uses[0][0].module, nn.Linear):
        taken = torch.cat([call.by_example(call.taken.detach(), n) for call, _ in uses], dim=1)
        slopes = torch.cat([call.by_example(slope, n) for call, slope in uses], dim=1)
        return torch.bmm(slopes.transpose(1, 2), taken).flatten(1)
    if any(len(call.given) != n for call, _ in uses):
        raise DoesNotApply("it needs layers that keep examples apart, the batch first")
    rows = [torch.stack([_of_example(c, s, i) for i in range(n)]) for c, s in uses]
    return torch.stack(rows).sum(0)


def _of_example(call: Call, slope: Tensor, i: int) -> Tensor:
    layer = call.module
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise DoesNotApply("it needs convolutions that pad with a number of zeros")
    slopes = _WEIGHT_SLOPES[type(layer)](
        call.taken[i : i + 1].detach(),
        layer.weight.shape,
        slope[i : i + 1],
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )
    return slopes.flatten()
