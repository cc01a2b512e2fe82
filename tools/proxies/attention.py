"""Scores of transformers: of attention weights, of heads and of the operations' weights.

Published ones are those of aaronserianni/training-free-nas (Serianni & Kalita 2023,
arXiv:2306.00288), whose gradients are of the summed last states: rounding noise behind a layer
normalisation, see `jacobians`. All of them sum over layers; `_mean` divides by the number of what
is summed. Published direction of all: higher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.spaces.builders.taps import Part
    from vitruvius.tools.passes.forward_backward import Slopes
    from vitruvius.tools.passes.probe import Probe


WIDE = 0.5  # published scores leave out operations' layers of fewer outputs: 128 of 256


def attention_confidence(probe: Probe) -> float:
    """Mean over layers, heads, examples and tokens of a token's largest attention weight.

    Voita et al. 2019, arXiv:1905.09418, sec. 4.
    """
    maps = _maps(probe)
    return sum(float(weights.amax(dim=-1).double().mean()) for weights in maps) / len(maps)


def softmax_confidence(probe: Probe) -> float:
    """The same on a scale from 0 (all tokens that it may see weigh the same) to 1 (one alone).

    (largest weight - 1/n) / (1 - 1/n) with n the tokens of positive weight: a causal network's
    first tokens are confident for want of choice. Tokens with n = 1 are left out. Corrects the
    published maximum over heads, which compares heads and not tokens.
    """
    from vitruvius.tools.passes.copies import DoesNotApply

    found = []
    for weights in _maps(probe):
        seen = (weights > 0).sum(dim=-1).double()
        largest = weights.amax(dim=-1).double()
        excess = (largest - 1 / seen) / (1 - 1 / seen)
        found.append(float(excess[seen > 1].mean()))
    if not found:
        raise DoesNotApply("it needs tokens that can see more than themselves")
    return sum(found) / len(found)


def softmax_confidence_published(probe: Probe) -> float:
    """Sum over layers of the mean, over examples and pairs of tokens, of the largest head."""
    return sum(float(weights.amax(dim=1).double().mean()) for weights in _maps(probe))


def softmax_confidence_published_mean(probe: Probe) -> float:
    """The same divided by the number of layers with attention weights."""
    return softmax_confidence_published(probe) / len(_maps(probe))


def attention_confidence_published(probe: Probe) -> float:
    """Sum over operations' linear outputs [B, T, D] of the mean, over B and D, of maxima over T."""
    return sum(_confidences(probe))


def attention_confidence_published_mean(probe: Probe) -> float:
    """The same divided by the number of outputs summed."""
    found = _confidences(probe)
    return sum(found) / len(found)


def head_importance(probe: Probe) -> float:
    """Sum over heads of the mean, over examples, of |head's output . gradient of the loss|.

    Michel et al. 2019, arXiv:1905.10650, sec. 2.3. The gradient is that of the mean loss, summed
    over examples.
    """
    from vitruvius.tools.passes.copies import DoesNotApply

    heads = probe.record.heads
    if not heads:
        raise DoesNotApply("it needs a transformer that announces its heads")
    total = 0.0
    for output, slope in zip(heads, probe.loss.heads, strict=True):
        products = (output.detach() * slope.detach()).double().sum(dim=(-2, -1))  # [B, heads]
        total += float(products.abs().sum())
    return total


def synaptic_diversity(probe: Probe) -> float:
    """Sum over operations' linear layers of the nuclear norms of weight x gradient of the loss.

    Zhou et al. 2022, arXiv:2203.12217, sec. 3: the two norms are multiplied.
    """
    return _diversity(*part_slopes(probe, probe.loss, "operation", "projection"))


def synaptic_diversity_published(probe: Probe) -> float:
    """The same for gradients of the summed last states."""
    return _diversity(*part_slopes(probe, probe.ones, "operation", "projection"))


def synaptic_diversity_published_mean(probe: Probe) -> float:
    """The same divided by the number of layers summed."""
    weights, slopes = part_slopes(probe, probe.ones, "operation", "projection")
    return _diversity(weights, slopes) / len(weights)


def attention_importance_published(probe: Probe) -> float:
    """Sum of |weight x gradient| over wide linear layers inside the operations, see `WIDE`.

    Called head importance there, though no head takes part: `head_importance` is the corrected one.
    """
    from vitruvius.tools.passes.example_gradients import saliency

    return saliency(zip(*part_slopes(probe, probe.ones, "operation", wide=True), strict=True))


def attention_importance_published_mean(probe: Probe) -> float:
    """The same divided by the number of layers summed."""
    weights, _ = part_slopes(probe, probe.ones, "operation", wide=True)
    return attention_importance_published(probe) / len(weights)


def _maps(probe: Probe) -> list[Tensor]:
    from vitruvius.tools.passes.copies import DoesNotApply

    if not probe.record.attention:
        raise DoesNotApply("it needs a transformer with softmax attention")
    return [weights.detach() for weights in probe.record.attention]


def _confidences(probe: Probe) -> list[float]:
    return [float(output.amax(dim=1).double().mean()) for output in wide_outputs(probe)]


def _diversity(weights: list[Tensor], slopes: list[Tensor]) -> float:
    import torch

    def nuclear(matrix: Tensor) -> float:
        return float(torch.linalg.svdvals(matrix.double()).sum())

    return sum(nuclear(w) * nuclear(s) for w, s in zip(weights, slopes, strict=True))


def _formula(
    formula: Callable[[Probe], float], description: str, *, needs_labels: bool = False
) -> Formula:
    return Formula(
        name=formula.__name__,
        description=f"{description}; transformers",
        needs_data=True,
        needs_labels=needs_labels,
        applies_to=frozenset({"transformer"}),
        passes=("graph",),
        formula=formula,
    )


ATTENTION_SCORES = (
    _formula(attention_confidence, "how much tokens attend to one token"),
    _formula(attention_confidence_published, "largest outputs of operations' layers, as published"),
    _formula(attention_confidence_published_mean, "the same by the number of layers"),
    _formula(softmax_confidence, "how much tokens attend to one token, by how many they see"),
    _formula(softmax_confidence_published, "largest attention weight of the heads, as published"),
    _formula(softmax_confidence_published_mean, "the same by the number of layers"),
    _formula(head_importance, "how much the loss hangs on single heads", needs_labels=True),
    _formula(attention_importance_published, "|weight x gradient| of operations, as published"),
    _formula(attention_importance_published_mean, "the same by the number of layers"),
    _formula(
        synaptic_diversity, "nuclear norms of operations' weights and gradients", needs_labels=True
    ),
    _formula(synaptic_diversity_published, "the same for sums of the last states, as published"),
    _formula(synaptic_diversity_published_mean, "the same by the number of layers"),
)


def part_slopes(
    probe: Probe, slopes: Slopes, *parts: Part, wide: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Returns weights of linear layers of some parts, and their gradients.

    Args:
        probe: of the network.
        slopes: of its graph.
        parts: that are looked for.
        wide: whether only layers of at least `WIDE` times the outputs of the widest count.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.passes.copies import DoesNotApply, weight_of

    pairs = [
        (weight_of(layer).detach(), slope.detach())
        for layer, slope in zip(probe.graph.layers, slopes.weights, strict=True)
        if getattr(layer, "part", None) in parts and weight_of(layer).dim() == 2
    ]
    if not pairs:
        raise DoesNotApply(f"it needs a transformer that announces its {' or '.join(parts)} layers")
    least = WIDE * max(len(weight) for weight, _ in pairs) if wide else 0
    pairs = [(weight, slope) for weight, slope in pairs if len(weight) >= least]
    return [weight for weight, _ in pairs], [slope for _, slope in pairs]


def wide_outputs(probe: Probe) -> list[Tensor]:
    """Returns the outputs [B, T, D] of the operations' linear layers that are wide, see `WIDE`.

    Raises:
        DoesNotApply: if there are none.
    """
    from vitruvius.tools.passes.copies import DoesNotApply, weight_of

    outputs = [
        call.given.detach()
        for call in probe.record.layers
        if getattr(call.module, "part", None) == "operation" and weight_of(call.module).dim() == 2
    ]
    if not outputs:
        raise DoesNotApply("it needs a transformer that announces its operation layers")
    least = WIDE * max(output.shape[-1] for output in outputs)
    return [output for output in outputs if output.shape[-1] >= least]
