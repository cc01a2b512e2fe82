"""The NAS-Bench-201 cell: six edges between four nodes, five operations.

Dong & Yang 2020, arXiv:2001.00326. A node is the sum of its incoming edges.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell_classes import NAS_BENCH_201, OPERATIONS
from vitruvius.spaces.cells.four_nodes import FourNodeSpace, edge_slots
from vitruvius.spaces.space import Architecture, Signature, refuse_tokens

if TYPE_CHECKING:
    import torch

Reduction = Literal["pool", "residual"]

SLOTS = edge_slots(NAS_BENCH_201)

_DESCRIPTION = """\
A cell of the NAS-Bench-201 family, stacked to a network. Node 0 is the cell's input, node 3 its
output; edge_i_j is the operation from node i to node j and a node is the sum of its incoming
edges. none: no connection; nor_conv_KxK: ReLU, convolution, batch norm; avg_pool_3x3: average
pooling with stride 1. Cells that compute the same are one architecture (4,930 of 15,625): dead
edges become none, chains through skips are shortened."""


class Cell(FourNodeSpace):
    """The cell in a skeleton of stages that double the channels and halve the resolution."""

    def __init__(
        self,
        *,
        channels: int = 8,
        stages: int = 3,
        cells: int = 1,
        reduction: Reduction = "pool",
    ) -> None:
        """Makes the space.

        Args:
            channels: of the first stage; doubled at every further one.
            stages: resolutions, each half the one before.
            cells: per stage.
            reduction: between stages. `pool`: a 1x1 convolution and average pooling, with a 1x1
                stem, so that little but the cell can learn; `residual`: the published block of
                3x3 convolutions and 3x3 stem. Published size: channels=16, cells=5, residual.

        Raises:
            ConfigError: if a number is below 1 or the reduction is unknown.
        """
        options = {"channels": channels, "stages": stages, "cells": cells, "reduction": reduction}
        for name in ("channels", "stages", "cells"):
            value = options[name]
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"option {name} must be a whole number from 1, got {value!r}")
        if reduction not in get_args(Reduction):
            raise ConfigError(f"option reduction must be pool or residual, got {reduction!r}")
        defaults = {"channels": 8, "stages": 3, "cells": 1, "reduction": "pool"}
        changed = ",".join(f"{k}={v}" for k, v in options.items() if v != defaults[k])
        super().__init__(
            "nb201",
            NAS_BENCH_201,
            description=_DESCRIPTION,
            options=options,
            ref=f"nb201:{changed}" if changed else "nb201",
        )
        self.channels, self.stages, self.cells = channels, stages, cells
        self.reduction: Reduction = reduction

    def to_text(self, architecture: Architecture) -> str:
        """Returns the benchmark's string of a cell; see `to_string`."""
        return to_string(architecture)

    def from_text(self, text: str) -> Architecture:
        """Returns the cell of a benchmark's string as written; see `from_string`.

        Raises:
            ToolError: if the text is no such string.
        """
        return from_string(text)

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network for images (C, H, W) or sequences (C, L).

        Raises:
            ConfigError: if the input has another form or is too small for the stages.
        """
        from vitruvius.spaces.builders.convolutional import CellNetwork

        refuse_tokens(signature, self.name)
        return CellNetwork(
            architecture.spec,
            signature.input_shape,
            signature.outputs,
            channels=self.channels,
            stages=self.stages,
            cells=self.cells,
            reduction=self.reduction,
        )


def to_string(architecture: Architecture) -> str:
    """Returns the benchmark's string of a cell: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    nodes = (
        "".join(f"|{architecture.spec[f'edge_{i}_{j}']}~{i}" for i in range(j)) + "|"
        for j in (1, 2, 3)
    )
    return "+".join(nodes)


def from_string(text: str) -> Architecture:
    """Returns the cell of a benchmark's string as written, not in canonical form.

    Raises:
        ToolError: if the text is no such string.
    """
    found = re.findall(r"([a-z]\w*)~(\d)", text)
    spec = {slot.name: name for slot, (name, _) in zip(SLOTS, found, strict=False)}
    architecture = Architecture.of(spec)
    # written again: what the pattern left out of the text would go unseen
    if len(spec) != len(SLOTS) or to_string(architecture) != text.strip():
        raise ToolError(
            f"expected a cell like |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got {text!r:.120}"
        )
    for name in spec.values():
        if name not in OPERATIONS:
            raise ToolError(f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}")
    return architecture
