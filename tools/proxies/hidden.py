"""Scores of recurrent networks: of their hidden states and of their cells' weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvius.tools.proxies.formula import Formula
from vitruvius.tools.proxies.spectra import correlation_score

if TYPE_CHECKING:
    from torch import Tensor

    from vitruvius.tools.passes.probe import Probe

DEEPEST = 6


def hidden_covariance(probe: Probe, layer: int) -> float:
    """S of a layer's hidden units over all steps and examples, see `spectra.correlation_score`.

    Serianni & Kalita 2023, arXiv:2306.00288, sec. 3, and aaronserianni/training-free-nas: rows are
    the units of the output state that enters each step, the initial one included, the final one
    not; columns are examples x steps. Published direction: higher, that is closer to 0. A unit
    that never changes is a direction lost.

    Raises:
        DoesNotApply: if the network has no such recurrent layer.
    """
    return correlation_score(probe.hidden(layer).flatten(0, 1).T)


def hidden_covariance_published(probe: Probe, layer: int) -> float:
    """The same, but NaN where a unit never changes: such networks were dropped."""
    return correlation_score(probe.hidden(layer).flatten(0, 1).T, counts_constant=False)


def hidden_synaptic_saliency(probe: Probe) -> float:
    """Minus the sum of |state x gradient of the loss| over all steps' hidden states.

    Serianni & Kalita 2023, arXiv:2306.00288, with the loss for what they differentiate. Published
    direction: lower (it grows with the trained loss), hence the minus.
    """
    from vitruvius.tools.passes.example_gradients import saliency

    return -saliency(zip(_states(probe), probe.loss.hidden, strict=True))


def hidden_synaptic_saliency_published(probe: Probe) -> float:
    """Minus the sum of |state x gradient of the summed representation|.

    This is what aaronserianni/training-free-nas stored for its benchmark. Its released code adds
    up five passes (also three under noise, and half the representation's summed squares), as the
    file of its ablations has it: four to six times as much. Published direction: lower, hence the
    minus.
    """
    from vitruvius.tools.passes.example_gradients import saliency

    return -saliency(zip(_states(probe), probe.ones.hidden, strict=True))


def synaptic_saliency_published(probe: Probe) -> float:
    """Sum of |weight x gradient|, as published for recurrent networks and for transformers.

    aaronserianni/training-free-nas; gradients are those of the summed representation. Recurrent
    networks: of every node's linear layers all but that of its first input, and the embedding
    (tied to the decoder); published direction: lower, hence a minus there. That is what was stored;
    the released code, and the file of its ablations, differentiate half the summed squares.
    Transformers: feed-forward layers; published direction: higher. The corrected forms are `snip`
    (the loss) and `synflow` (absolute weights, no data).

    Raises:
        DoesNotApply: if the network does not announce what its layers are for.
    """
    from vitruvius.tools.passes.copies import DoesNotApply, weight_of
    from vitruvius.tools.passes.example_gradients import saliency
    from vitruvius.tools.proxies.attention import part_slopes

    layers = probe.graph.layers
    if any(hasattr(layer, "part") for layer in layers):
        return saliency(zip(*part_slopes(probe, probe.ones, "feed_forward"), strict=True))
    if not any(hasattr(layer, "position") for layer in layers):
        raise DoesNotApply("it needs a network that announces what its layers are for")
    tables = {id(table) for table in probe.graph.tables}
    pairs = [
        (weight_of(layer), slope)
        for layer, slope in zip(layers, probe.ones.weights, strict=True)
        if getattr(layer, "position", 0) >= 1 or id(weight_of(layer)) in tables
    ]
    pairs += zip(probe.graph.embeddings, probe.ones.embeddings, strict=True)
    return -saliency(pairs)


def synaptic_saliency_published_mean(probe: Probe) -> float:
    """The same divided by the number of feed-forward layers; transformers only."""
    from vitruvius.tools.passes.example_gradients import saliency
    from vitruvius.tools.proxies.attention import part_slopes

    weights, slopes = part_slopes(probe, probe.ones, "feed_forward")
    return saliency(zip(weights, slopes, strict=True)) / len(weights)


def _states(probe: Probe) -> list[Tensor]:
    from vitruvius.tools.passes.copies import DoesNotApply

    states = probe.record.states
    if not states:
        raise DoesNotApply("it needs a recurrent network that announces its hidden states")
    return states


def _covariance(layer: int) -> tuple[Formula, Formula]:
    words = f"how independent the hidden units of layer {layer} are; recurrent networks"
    return (
        Formula(
            name=f"hidden_covariance_{layer}",
            description=words,
            needs_data=True,
            applies_to=frozenset({"recurrent"}),
            passes=("states",),
            layer=layer,
            formula=lambda probe: hidden_covariance(probe, layer),
        ),
        Formula(
            name=f"hidden_covariance_{layer}_published",
            description=f"{words}; none where a unit never changes",
            needs_data=True,
            applies_to=frozenset({"recurrent"}),
            passes=("states",),
            layer=layer,
            formula=lambda probe: hidden_covariance_published(probe, layer),
        ),
    )


HIDDEN_SCORES = (
    *(formula for layer in range(1, DEEPEST + 1) for formula in _covariance(layer)),
    Formula(
        name="hidden_synaptic_saliency",
        description="how little the loss hangs on single hidden states; recurrent networks",
        needs_data=True,
        applies_to=frozenset({"recurrent"}),
        needs_labels=True,
        passes=("graph",),
        formula=hidden_synaptic_saliency,
    ),
    Formula(
        name="hidden_synaptic_saliency_published",
        description="the same for sums of the representation, as published; recurrent networks",
        needs_data=True,
        applies_to=frozenset({"recurrent"}),
        passes=("graph",),
        formula=hidden_synaptic_saliency_published,
    ),
    Formula(
        name="synaptic_saliency_published",
        description="sum of |weight x gradient| of some layers, as published; recurrent networks "
        "and transformers",
        needs_data=True,
        passes=("graph",),
        formula=synaptic_saliency_published,
    ),
    Formula(
        name="synaptic_saliency_published_mean",
        description="the same, by the number of layers; transformers",
        needs_data=True,
        applies_to=frozenset({"transformer"}),
        passes=("graph",),
        formula=synaptic_saliency_published_mean,
    ),
)
