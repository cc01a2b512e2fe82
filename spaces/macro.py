"""A macro space: how deep, how wide, which kernel, activation, normalisation, skips, pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import (
    Architecture,
    Choice,
    Feature,
    FloatArray,
    Signature,
    Slot,
    refuse_tokens,
)

if TYPE_CHECKING:
    import torch

HALVINGS = 2  # pooling follows the first two blocks, where another block comes after


def _numbers(name: str, description: str, values: tuple[int, ...]) -> Slot:
    choices = tuple(Choice(name=str(value), value=value) for value in values)
    return Slot(name=name, description=description, choices=choices)


def _names(name: str, description: str, names: tuple[str, ...]) -> Slot:
    choices = tuple(Choice(name=each) for each in names)
    return Slot(name=name, description=description, choices=choices)


SLOTS = (
    _numbers("depth", "number of blocks", (1, 2, 3, 4, 6)),
    _numbers("width", "channels of every block", (8, 12, 16, 24, 32)),
    _numbers("kernel", "positions that a convolution spans", (1, 3, 5, 7)),
    _names("activation", "ends a block", ("relu", "gelu", "silu", "tanh")),
    _names("normalisation", "follows a convolution", ("none", "batch", "group")),
    _names("skip", "adds a block's input to its output, from the second block on", ("off", "on")),
    _names("pooling", "halves the size after each of the first two blocks", ("average", "max")),
)

_DESCRIPTION = """\
A plain network: `depth` blocks of convolution, normalisation and activation, then an average over
all positions and a linear layer. Pooling follows the first two blocks, where another block comes
after. With one block, skip and pooling have no effect and read off and average."""


class Macro(SlotSpace):
    """Plain convolutional networks for images (C, H, W) or sequences (C, L)."""

    def __init__(self) -> None:
        super().__init__("macro", SLOTS, description=_DESCRIPTION, ref="macro")

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture with choices that have no effect set to the first."""
        spec = architecture.spec
        if spec["depth"] != "1" or (spec["skip"], spec["pooling"]) == ("off", "average"):
            return architecture
        return Architecture.of({**spec, "skip": "off", "pooling": "average"})

    def structure(self) -> tuple[Feature, ...]:
        """Returns the reach and the rough size of a network."""
        return (
            Feature(
                name="reach",
                kind="count",
                description="input positions, along one side, that a last block's output sees",
            ),
            Feature(
                name="log2_weights",
                kind="ordinal",
                description="log2 of depth * width^2 * kernel: the convolutions' weights, roughly",
            ),
        )

    def structure_columns(self, indices: NDArray[np.int64]) -> FloatArray:
        """Returns the columns of `structure`."""
        depth, width, kernel = (
            np.array([choice.value for choice in slot.choices], dtype=np.float64)[chosen]
            for slot, chosen in zip(SLOTS[:3], indices.T[:3], strict=True)
        )
        reach, step = np.ones(len(indices)), np.ones(len(indices))
        for block in range(int(depth.max(initial=0))):
            reach += np.where(block < depth, (kernel - 1) * step, 0)
            pooled = (block < HALVINGS) & (block + 1 < depth)
            reach += np.where(pooled, step, 0)
            step *= np.where(pooled, 2, 1)
        return np.stack([reach, np.log2(depth * width**2 * kernel)], axis=1)

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network.

        Raises:
            ConfigError: if the input has another form or is too small.
        """
        from vitruvius.spaces.builders.convolutional import MacroNetwork

        refuse_tokens(signature, self.name)
        return MacroNetwork(
            architecture.spec, signature.input_shape, signature.outputs, halvings=HALVINGS
        )
