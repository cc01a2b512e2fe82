"""Cells of four nodes: what their spaces share, and the space of NAS-Bench-201.

Six edges between four nodes: Dong & Yang 2020, arXiv:2001.00326. A node is the sum of its incoming
edges.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.cells.cell_classes import (
    EDGES,
    NAS_BENCH_201,
    OPERATIONS,
    CellKind,
    all_cells,
    neighbours,
    representatives,
    shares,
    structure,
    structure_columns,
)
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import (
    Architecture,
    Choice,
    Feature,
    FloatArray,
    IntArray,
    Signature,
    Slot,
    refuse_tokens,
)

if TYPE_CHECKING:
    import torch


_TRAITS: tuple[dict[str, str | int | bool], ...] = (
    {"kind": "none", "parametric": False},
    {"kind": "skip", "parametric": False},
    {"kind": "conv", "kernel": 1, "parametric": True},
    {"kind": "conv", "kernel": 3, "parametric": True},
    {"kind": "pool", "kernel": 3, "parametric": False},
)

Reduction = Literal["pool", "residual"]


@lru_cache(maxsize=4)
def edge_slots(kind: CellKind) -> tuple[Slot, ...]:
    """Returns the six edges, named alike in every kind, as their operations are."""
    choices = tuple(
        Choice(name=name, traits=traits)
        for name, traits in zip(OPERATIONS[: kind.operations], _TRAITS, strict=False)
    )
    return tuple(Slot(name=f"edge_{i}_{j}", choices=choices) for i, j in EDGES)


class FourNodeSpace(SlotSpace, ABC):
    """Cells of one kind. A node is the sum of its incoming edges; every cell is known by its row.

    A subclass gives the skeleton around the cell (`build`) and the text of its benchmark.
    """

    kind: CellKind

    def __init__(
        self,
        name: str,
        kind: CellKind,
        *,
        description: str,
        options: Mapping[str, str | int | float],
        ref: str,
    ) -> None:
        """Makes the space.

        Args:
            name: the family, by which principles are scoped.
            kind: which operations an edge may hold and which cells are the same.
            description: one paragraph for people and models.
            options: the skeleton; becomes part of `id`.
            ref: the text from which the space is loaded again.
        """
        self.kind = kind
        super().__init__(
            name,
            edge_slots(kind),
            description=description,
            options=options,
            shares=shares(kind),
            ref=ref,
        )

    @abstractmethod
    def to_text(self, architecture: Architecture) -> str:
        """Returns the benchmark's text of a cell, as written."""

    @abstractmethod
    def from_text(self, text: str) -> Architecture:
        """Returns the cell of a benchmark's text as written, not in canonical form.

        Raises:
            ToolError: if the text is no such cell.
        """

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form of a cell drawn uniformly from all raw ones."""
        # of the raw cells: one with many twins is drawn as often as all of them
        return canonical_cells(self.kind)[rng.integers(len(all_cells(self.kind)))]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the cell with the fewest operations that computes the same."""
        # most are canonical already: one look-up instead of six
        if architecture in _rows(self.kind):
            return architecture
        return canonical_cells(self.kind)[self._index(architecture)]

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the canonical cells that a change of one edge, of any equal cell, leads to."""
        cells, near = canonical_cells(self.kind), neighbours(self.kind)
        return [cells[row] for row in near[self._index(self.canonical(architecture))].tolist()]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns one of the neighbours, each as likely as the others."""
        near = self.neighbours(architecture)
        return near[rng.integers(len(near))]

    def members(self) -> Sequence[Architecture]:
        """Returns all canonical cells."""
        return tuple(_rows(self.kind))

    def parse(self, spec: Any) -> Architecture:
        """Returns the canonical cell of an object edge -> operation or a benchmark's text.

        Raises:
            ToolError: says which part is wrong and what is allowed there.
        """
        if isinstance(spec, str):
            return self.canonical(self.from_text(spec))
        return super().parse(spec)

    def structure(self) -> tuple[Feature, ...]:
        """Returns the features of the paths from input to output."""
        return structure(self.kind)

    def structure_columns(self, indices: IntArray) -> FloatArray:
        """Returns the columns of `structure`."""
        return structure_columns(self.kind, indices)

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical cells, looked up in one of all."""
        rows = _rows(self.kind)
        places = [rows[self.canonical(architecture)] for architecture in architectures]
        return _matrix(self)[np.array(places, dtype=np.int64)]

    def draw(self, architecture: Architecture) -> str:
        """Returns the cell as a sum at each node, and as the benchmark's text."""
        lines = []
        for j in (1, 2, 3):
            parts = [
                ("{}" if op == "skip_connect" else f"{op}({{}})").format(f"node {i}")
                for i in range(j)
                if (op := architecture.spec[f"edge_{i}_{j}"]) != "none"
            ]
            lines.append(f"node {j} = {' + '.join(parts) or '0'}")
        named = [line.replace("node 0", "input").replace("node 3", "output") for line in lines]
        return "\n".join([*named, self.to_text(architecture)])

    def _index(self, architecture: Architecture) -> int:
        """Returns the cell's row in `all_cells`."""
        index = 0
        for slot in self.slots:
            index = index * self.kind.operations + OPERATIONS.index(architecture.spec[slot.name])
        return index


def cell_of(operations: Sequence[int]) -> Architecture:
    """Returns the cell with the operations, by position, on the edges in order of `EDGES`."""
    return Architecture.of(
        {f"edge_{i}_{j}": OPERATIONS[op] for (i, j), op in zip(EDGES, operations, strict=True)}
    )


@lru_cache(maxsize=4)
def canonical_cells(kind: CellKind) -> tuple[Architecture, ...]:
    """Returns the canonical cell of every cell, in the order of `all_cells`."""
    cells, chosen = all_cells(kind).tolist(), representatives(kind).tolist()
    made = {row: cell_of(cells[row]) for row in set(chosen)}
    return tuple(made[row] for row in chosen)


@lru_cache(maxsize=4)
def _rows(kind: CellKind) -> dict[Architecture, int]:
    """Returns the canonical cells and their positions among each other."""
    return {cell: row for row, cell in enumerate(dict.fromkeys(canonical_cells(kind)))}


@lru_cache(maxsize=8)
def _matrix(space: FourNodeSpace) -> FloatArray:
    """Returns the features of all canonical cells, in the order of `_rows`."""
    return SlotSpace.featurise(space, space.members())


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
