"""The micro space of TransNAS-Bench-101: six edges between four nodes, four operations.

Duan et al. 2021, arXiv:2105.11871. The skeleton is a row of modules, each a few cells of which the
first may double the channels and halve the resolution (yawen-d/TransNASBench, net_macro.py and
cell_micro.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell import FourNodeSpace, cell_of
from vitruvius.spaces.cells.cell_classes import (
    CONV1,
    CONV3,
    EDGES,
    OPERATIONS,
    SKIP,
    TRANSNAS,
)
from vitruvius.spaces.space import Architecture, IntArray, Signature, refuse_tokens

if TYPE_CHECKING:
    import torch


Stem = Literal["point", "strided"]

PREFIX = "64-41414"  # 64 channels, five modules: the skeleton of all micro architectures
_CODE = re.compile(rf"(?:{PREFIX}-)?([0-3])_([0-3]{{2}})_([0-3]{{3}})")
_DEFAULTS = {"channels": 8, "modules": "414", "cells": 1, "stem": "point"}

_DESCRIPTION = """\
A cell of the TransNAS-Bench-101 micro family, stacked to a network. Node 0 is the cell's input,
node 3 its output; edge_i_j is the operation from node i to node j and a node is the sum of its
incoming edges. none: no connection; nor_conv_KxK: ReLU, convolution, batch norm. In cells that
change the shape, edges from the input carry the stride, and a skip there is a projection (ReLU,
strided 1x1 convolutions, batch norm), not an identity. Cells that compute the same in both kinds
of cell are one architecture (1,376 of 4,096)."""


class TransNas(FourNodeSpace):
    """The cell in a skeleton of modules, some of which double the channels, halve the size or both.

    What is equal here is so in every skeleton with modules that change the shape.
    """

    def __init__(
        self,
        *,
        channels: int = 8,
        modules: str | int = "414",
        cells: int = 1,
        stem: Stem = "point",
    ) -> None:
        """Makes the space.

        Args:
            channels: after the stem.
            modules: a digit each, as in the benchmark's codes: 1 keeps the shape, 2 doubles the
                channels, 3 halves the resolution, 4 does both.
            cells: per module; the first changes the shape.
            stem: `point`: a 1x1 convolution; `strided`: the published one, two 3x3 convolutions of
                stride 2. Published size: channels=64, modules=41414, cells=2, stem=strided.

        Raises:
            ConfigError: if a number is too small, or modules or stem are unknown.
        """
        text = str(modules)
        options: dict[str, str | int] = {
            "channels": channels,
            "modules": text,
            "cells": cells,
            "stem": stem,
        }
        for name, least in (("channels", 2), ("cells", 1)):
            value = options[name]
            if not isinstance(value, int) or value < least:
                raise ConfigError(
                    f"option {name} must be a whole number from {least}, got {value!r}"
                )
        if not re.fullmatch(r"[1-4]+", text):
            raise ConfigError(f"option modules must be digits from 1 to 4, got {modules!r}")
        if stem not in get_args(Stem):
            raise ConfigError(f"option stem must be point or strided, got {stem!r}")
        changed = ",".join(f"{k}={v}" for k, v in options.items() if v != _DEFAULTS[k])
        super().__init__(
            "transnas",
            TRANSNAS,
            description=_DESCRIPTION,
            options=options,
            ref=f"transnas:{changed}" if changed else "transnas",
        )
        self.channels, self.modules, self.cells = channels, text, cells
        self.stem: Stem = stem

    def to_text(self, architecture: Architecture) -> str:
        """Returns the benchmark's code of a cell; see `to_code`."""
        return to_code(architecture)

    def from_text(self, text: str) -> Architecture:
        """Returns the cell of a benchmark's code as written; see `from_code`.

        Raises:
            ToolError: if the text is no such code.
        """
        return from_code(text)

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network for images (C, H, W) or sequences (C, L).

        Raises:
            ConfigError: if the input has another form or is too small for the modules.
        """
        from vitruvius.spaces.builders.convolutional import TransNasNetwork

        refuse_tokens(signature, self.name)
        return TransNasNetwork(
            architecture.spec,
            signature.input_shape,
            signature.outputs,
            channels=self.channels,
            modules=self.modules,
            cells=self.cells,
            stem=self.stem,
        )


def to_code(architecture: Architecture) -> str:
    """Returns the benchmark's code of a cell: `64-41414-a_bc_def`, the digits by end node.

    Example:
        >>> to_code(from_code("64-41414-1_02_333"))
        '64-41414-1_02_333'
    """
    digits = "".join(str(OPERATIONS.index(architecture.spec[f"edge_{i}_{j}"])) for i, j in EDGES)
    return f"{PREFIX}-{digits[0]}_{digits[1:3]}_{digits[3:]}"


def from_code(text: str) -> Architecture:
    """Returns the cell of a benchmark's code, with or without its prefix, as written.

    Raises:
        ToolError: if the text is no such code.
    """
    match = _CODE.fullmatch(text.strip())
    if match is None:
        raise ToolError(
            f"expected a cell like {PREFIX}-1_02_333 (0 none, 1 skip_connect, 2 nor_conv_1x1,"
            f" 3 nor_conv_3x3), got {text!r:.120}"
        )
    return cell_of([int(digit) for digit in "".join(match.groups())])


@dataclass(frozen=True, kw_only=True)
class CellShape:
    """One cell of a skeleton: what it takes, and the positions of what it gives."""

    inputs: int
    outputs: int
    stride: int
    positions: int


def backbone_sizes(
    cells: IntArray, *, channels: int = 64, modules: str = "41414", side: int = 256
) -> tuple[IntArray, IntArray]:
    """Returns parameters and multiply-adds of published backbones, classifier not counted: [N].

    The stem is the strided one, a module has two cells, and an image is 3 x side x side.
    Multiply-adds are those of convolutions, as `tools.passes.flops` counts them.

    Args:
        cells: operations on edges [N, 6], as written: dead ones count.
        channels: after the stem.
        modules: as in `TransNas`.
        side: of the square input.
    """
    half, stem = channels // 2, (-(-side // 2), -(-side // 4))
    params = 27 * half + 2 * half + 9 * half * channels + 2 * channels
    flops = 27 * half * stem[0] ** 2 + 9 * half * channels * stem[1] ** 2
    costs = np.zeros((2, len(EDGES), TRANSNAS.operations), dtype=np.int64)
    for shape in _shapes(channels, modules, stem[1]):
        for edge, (start, _) in enumerate(EDGES):
            inputs = shape.outputs if start else shape.inputs
            reshapes = start == 0 and (shape.stride > 1 or inputs != shape.outputs)
            for operation, taps in ((SKIP, int(reshapes)), (CONV1, 1), (CONV3, 9)):
                weights = taps * inputs * shape.outputs
                costs[0, edge, operation] += weights + 2 * shape.outputs * (taps > 0)
                costs[1, edge, operation] += weights * shape.positions
    edges = np.arange(len(EDGES))
    return (
        params + costs[0, edges, cells].sum(axis=1),
        flops + costs[1, edges, cells].sum(axis=1),
    )


def _shapes(channels: int, modules: str, side: int) -> Iterator[CellShape]:
    width = channels
    for module in modules:
        wide = 2 * width if module in "24" else width
        stride = 2 if module in "34" else 1
        side = -(-side // stride)
        yield CellShape(inputs=width, outputs=wide, stride=stride, positions=side**2)
        yield CellShape(inputs=wide, outputs=wide, stride=1, positions=side**2)
        width = wide
