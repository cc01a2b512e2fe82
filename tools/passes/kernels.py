"""The tangent kernel: inner products of the examples' gradients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.grad import conv1d_weight, conv2d_weight, conv3d_weight

from vitruvius.tools.passes.copies import BATCH_NORMS, DoesNotApply, weight_of
from vitruvius.tools.passes.forward_backward import Graph, gradients_of
from vitruvius.tools.passes.hooks import Call, record

KERNEL_EXAMPLES = 32

_WEIGHT_SLOPES: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: conv1d_weight,
    nn.Conv2d: conv2d_weight,
    nn.Conv3d: conv3d_weight,
}


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
