"""What spaces of cells with four nodes share: canonical forms, moves, features, drawings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vitruvius.spaces.cells.cell_classes import (
    EDGES,
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
from vitruvius.spaces.space import Architecture, Choice, Feature, FloatArray, IntArray, Slot

_TRAITS: tuple[dict[str, str | int | bool], ...] = (
    {"kind": "none", "parametric": False},
    {"kind": "skip", "parametric": False},
    {"kind": "conv", "kernel": 1, "parametric": True},
    {"kind": "conv", "kernel": 3, "parametric": True},
    {"kind": "pool", "kernel": 3, "parametric": False},
)


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
