"""Sizes of TransNAS-Bench-101 networks, counted without building them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vitruvius.spaces.cells.cell_classes import CONV1, CONV3, EDGES, SKIP, TRANSNAS, IntArray


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
        modules: as in `spaces.cells.transnas`.
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
