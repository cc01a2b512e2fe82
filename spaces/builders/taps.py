"""Taps: modules that change nothing, through which networks announce inner quantities.

A training-free score looks for them by type, listens with ordinary forward hooks, and may take
gradients with respect to what comes out of them. So a network must go on with the tensor that the
tap returns, and each place in a network has its own tap. What a layer is for is said by `announce`.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from torch import nn

Reads = Literal["x", "hidden", "node"]
Part = Literal["operation", "projection", "feed_forward"]
Layer = TypeVar("Layer", bound=nn.Module)


class EmbeddingTap(nn.Identity):
    """Embedded inputs [B, T, D], before anything is added; called once in a pass."""


class HiddenTap(nn.Identity):
    """A recurrent layer's output state h_0 [B, H] as it enters a step.

    Called once a step in order of time: the initial state is included, the final one is not.

    Args:
        layer: of the recurrent network, from 1.
    """

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer


class RepresentationTap(nn.Identity):
    """The last states before the classifier or decoder reads them: [B, T, D], or pooled [B, D]."""


class AttentionTap(nn.Identity):
    """Weights of a self-attention [B, heads, T, T]: rows (queries) are positive and sum to one."""


class HeadTap(nn.Identity):
    """Outputs of a layer's heads [B, heads, T, d], before they are joined."""


def announce(
    layer: Layer,
    *,
    reads: Reads | None = None,
    position: int | None = None,
    part: Part | None = None,
) -> Layer:
    """Returns a layer after noting what it is for, as plain attributes.

    Args:
        layer: an `nn.Linear` or convolution, or an activation of a feed-forward part; changed in
            place.
        reads: of a recurrent cell's layer: the step's input, a hidden state, or an inner node.
            Where it is applied to all steps at once, it takes [T, B, D], steps first.
        position: of a recurrent cell's layer: place of what it reads in its node's list, from 0.
        part: of a transformer's layer: inside the token-mixing operation (queries, keys, values,
            the transform's input), its output projection, or the feed-forward part.

    Example:
        >>> announce(nn.Linear(4, 4), reads="hidden", position=1).reads
        'hidden'
    """
    for name, value in (("reads", reads), ("position", position), ("part", part)):
        if value is not None:
            setattr(layer, name, value)
    return layer
