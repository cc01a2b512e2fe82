"""Passes that need no data: over absolute weights, over random weights, and along the graph."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from vitruvius.spaces.builders.taps import EmbeddingTap, HiddenTap
from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.copies import (
    BATCH_NORMS,
    NORMALISED,
    WEIGHTED,
    DoesNotApply,
    create_twin,
    weight_of,
    weighted_layers,
    without_normalisation,
)
from vitruvius.tools.passes.flops import blank, device_of, unmoved_generator
from vitruvius.tools.passes.forward_backward import gradients_of
from vitruvius.tools.passes.hooks import record

ZEN_EXAMPLES = 64
ZEN_STEP = 0.01


def synaptic_flow(network: nn.Module, signature: Signature) -> list[tuple[Tensor, Tensor]]:
    """Returns absolute weights, and gradients of the summed output for an input of ones.

    Tanaka et al. 2020, arXiv:2006.05467, alg. 1, in float64, normalisations left out as in
    Abdelfattah et al. 2021, arXiv:2101.08134. Where inputs are tokens, the embedded inputs are
    ones.

    Raises:
        DoesNotApply: if tokens are embedded without a tap.
    """
    twin = without_normalisation(create_twin(network)).double()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.abs_()
    example = blank(signature, device_of(network))
    if signature.vocabulary is None:
        found = record(twin, torch.ones_like(example, dtype=torch.float64))
    elif any(isinstance(module, EmbeddingTap) for module in twin.modules()):
        found = record(twin, example, change=torch.ones_like)
    else:
        raise DoesNotApply("it needs a network that announces its embedded tokens")
    weights = [weight_of(layer) for layer in weighted_layers(twin)]
    slopes = gradients_of(found.output.sum(), weights)
    return [(weight.detach(), slope) for weight, slope in zip(weights, slopes, strict=True)]


def zen_terms(network: nn.Module, signature: Signature) -> tuple[float, float]:
    """Returns the two terms of the Zen score, as natural logarithms.

    The first is of the mean, over examples of normal draws, of the summed |change| of the last
    feature maps when 0.01 times other draws is added; the second is the sum over batch
    normalisations of that of the root of their mean variance. Weights are normal draws, biases
    zero, normalisations without effect of their own.

    Raises:
        DoesNotApply: if the network has no convolution, or embeds what it reads.
    """
    twin = create_twin(network)
    embeds = any(isinstance(module, nn.Embedding | EmbeddingTap) for module in twin.modules())
    if embeds or not any(isinstance(module, WEIGHTED[1:]) for module in twin.modules()):
        raise DoesNotApply("it needs a network of convolutions, without an embedding")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, WEIGHTED):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
            elif isinstance(module, NORMALISED) and isinstance(module.weight, Tensor):
                module.weight.fill_(1.0)
            bias = getattr(module, "bias", None)
            if isinstance(bias, Tensor):
                bias.zero_()
    shape = (ZEN_EXAMPLES, *signature.input_shape)
    first = torch.randn(shape, generator=generator).to(device_of(network))
    step = torch.randn(shape, generator=generator).to(device_of(network))
    before, after = _feature_maps(twin, first), _feature_maps(twin, first + ZEN_STEP * step)
    change = float((before - after).abs().flatten(1).sum(1).mean())
    norms = [m for m in twin.modules() if isinstance(m, BATCH_NORMS)]
    variances = [float(m.running_var.mean()) for m in norms if m.running_var is not None]
    if change == 0 or 0 in variances:
        return -math.inf, 0.0
    return math.log(change), sum(math.log(variance) / 2 for variance in variances)


def _feature_maps(twin: nn.Module, inputs: Tensor) -> Tensor:
    """Returns the last output of a layer that has as many axes as the inputs."""
    last = inputs

    def keep(module: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        nonlocal last
        if given.dim() == inputs.dim():
            last = given

    hooks = [m.register_forward_hook(keep) for m in twin.modules() if not list(m.children())]
    try:
        with unmoved_generator(), torch.no_grad():
            twin(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return last


def depth(network: nn.Module, signature: Signature) -> int:
    """Returns the number of weighted layers on the longest path from input to output.

    A recurrent network is taken over one step, so a weight counts once.
    """
    twin = create_twin(network)
    for module in twin.modules():
        if isinstance(module, BATCH_NORMS):
            # one example is too few for statistics of its own
            module.eval()
    example = blank(signature, device_of(network))
    if any(isinstance(module, HiddenTap) for module in twin.modules()):
        example = example[:, :1] if signature.vocabulary is not None else example[:, :, :1]
    found = record(twin, example)
    if found.output.grad_fn is None:
        return 0
    return _longest(found.output.grad_fn, {call.given.grad_fn for call in found.layers})


def _longest(last: Node, counted: set[Node | None]) -> int:
    """Returns the largest number of counted nodes on a path that ends in a node."""
    # a stack of our own: the graph of a deep network is longer than Python's
    lengths: dict[Node, int] = {}
    stack = [last]
    while stack:
        node = stack[-1]
        sources = [source for source, _ in node.next_functions if source is not None]
        waiting = [source for source in sources if source not in lengths]
        if waiting:
            stack.extend(waiting)
            continue
        lengths[node] = max((lengths[s] for s in sources), default=0) + (node in counted)
        stack.pop()
    return lengths[last]
