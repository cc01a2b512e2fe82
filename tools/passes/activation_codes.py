"""Which activations are on for which example, as bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from vitruvius.spaces.space import FloatArray
from vitruvius.tools.passes.copies import DoesNotApply
from vitruvius.tools.passes.hooks import Call


def agreements(calls: Sequence[Call], examples: int, *, published: bool = False) -> FloatArray:
    """Returns on how many units two examples agree: [B, B], whole numbers in float64.

    A unit is on where its activation's input is above 0. Bits are compared 64 at a time: sixteen
    times as fast as a product of float64 matrices, and exact.

    Args:
        calls: of activations, outputs [B, ...].
        examples: B.
        published: whether a unit is on where its output is above 0, which makes no difference but
            to sigmoids: they are always on.

    Raises:
        DoesNotApply: if an activation does not keep examples apart.
    """
    packed, units = [], 0
    for call in calls:
        bits = _bits(call, published).numpy()
        if len(bits) != examples:
            raise DoesNotApply("it needs activations that keep examples apart, the batch first")
        packed.append(np.packbits(bits, axis=1))
        units += bits.shape[1]
    rest = -sum(part.shape[1] for part in packed) % 8
    packed.append(np.zeros((examples, rest), dtype=np.uint8))
    words = np.concatenate(packed, axis=1).view(np.uint64)
    kernel = np.empty((examples, examples))
    for i, word in enumerate(words):
        differ = np.bitwise_count(word ^ words[i:]).sum(axis=1, dtype=np.int64)
        kernel[i, i:] = kernel[i:, i] = units - differ
    return kernel


def token_agreements(calls: Sequence[Call]) -> float:
    """Returns the units' sum, over pairs of the first sequence's tokens, of agreements.

    Args:
        calls: of activations, outputs [B, T, units].
    """
    total = 0.0
    for call in calls:
        on = (call.given[0].detach() > 0).double().sum(dim=0)  # [units]
        total += float((on.square() + (len(call.given[0]) - on).square()).sum())
    return total


def _bits(call: Call, published: bool) -> Tensor:
    halfway = 0.5 if isinstance(call.module, nn.Sigmoid) and not published else 0.0
    bits = call.given.detach() > halfway
    if bits.dim() == 4 and bits.is_contiguous(memory_format=torch.channels_last):
        bits = bits.permute(0, 2, 3, 1)  # the order of units does not matter, copying does
    return bits.flatten(1).cpu()
