"""Every space of ours, and two of a user's, through the conformance suite."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitruvius.errors import ToolError
from vitruvius.spaces.cells.cell import Cell
from vitruvius.spaces.cells.transnas import TransNas
from vitruvius.spaces.macro import Macro
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.registry import load_space
from vitruvius.spaces.space import Architecture, Feature, FloatArray, SearchSpace, distinct
from vitruvius.spaces.testing import SearchSpaceContract

EXAMPLE = Path(__file__).parents[2] / "docs/examples/my_space.py"


class TestCell(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Cell()


class TestPublishedCell(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Cell(channels=4, cells=2, reduction="residual")


class TestTransNas(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return TransNas()


class TestMacro(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Macro()


class TestPoolOfCells(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        cells = Cell().members()
        return Pool(Cell(), cells[::37])


class TestUserSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self, tmp_path: Path) -> SearchSpace:
        shutil.copy(EXAMPLE, tmp_path)
        return load_space(f"{tmp_path}/my_space.py:space")


class Graphs:
    """Directed acyclic graphs on four nodes: a space without slots and without members.

    An architecture is a list of edges [i, j], i < j, with an operation each; every node but the
    first has an incoming edge.
    """

    name = "graphs"
    id = "graphs-00000000"
    ref = ""
    slots = ()
    operations = ("linear", "gate", "sum")
    pairs = tuple((i, j) for j in range(1, 4) for i in range(j))
    features = (
        Feature(name="edges", kind="count", description="number of edges"),
        *(
            Feature(name=f"share({op})", kind="share", description=f"share of edges that are {op}")
            for op in operations
        ),
    )

    def _made(self, edges: dict[tuple[int, int], str]) -> Architecture:
        return Architecture.of({"edges": [[i, j, op] for (i, j), op in sorted(edges.items())]})

    def _edges(self, architecture: Architecture) -> dict[tuple[int, int], str]:
        return {(i, j): op for i, j, op in architecture.spec["edges"]}

    def sample(self, rng: np.random.Generator) -> Architecture:
        edges = {
            pair: str(rng.choice(self.operations)) for pair in self.pairs if rng.random() < 0.5
        }
        for j in (1, 2, 3):
            if not any(end == j for _, end in edges):
                edges[int(rng.integers(j)), j] = "sum"
        return self._made(edges)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        edges = self._edges(architecture)
        found = []
        for pair in self.pairs:
            found.extend(self._made({**edges, pair: op}) for op in self.operations)
            less = {p: op for p, op in edges.items() if p != pair}
            if {end for _, end in less} == {1, 2, 3}:
                found.append(self._made(less))
        return [near for near in distinct(found) if near != architecture]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        near = self.neighbours(architecture)
        return near[rng.integers(len(near))]

    def parse(self, spec: Any) -> Architecture:
        try:
            edges = {(int(i), int(j)): str(op) for i, j, op in spec["edges"]}
        except (TypeError, KeyError, ValueError, IndexError):
            raise ToolError(
                f"expected {{'edges': [[i, j, operation], ...]}}, got {spec!r}"
            ) from None
        wrong = [e for e, op in edges.items() if e not in self.pairs or op not in self.operations]
        if wrong or {end for _, end in edges} != {1, 2, 3}:
            raise ToolError(f"edges must lead forward to nodes 1, 2 and 3; wrong: {wrong}")
        return self._made(edges)

    def canonical(self, architecture: Architecture) -> Architecture:
        return self._made(self._edges(architecture))

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        rows = []
        for architecture in architectures:
            held = list(self._edges(architecture).values())
            rows.append([len(held), *(held.count(op) / len(held) for op in self.operations)])
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.features))

    def members(self) -> None:
        return None

    def describe(self) -> str:
        return f"Graphs. Features: {', '.join(feature.name for feature in self.features)}"

    def draw(self, architecture: Architecture) -> str:
        return "\n".join(f"{i} -{op}-> {j}" for (i, j), op in self._edges(architecture).items())


class TestGraphs(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        return Graphs()


class TestPoolOfGraphs(SearchSpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        rng = np.random.default_rng(0)
        graphs = Graphs()
        return Pool(graphs, [graphs.sample(rng) for _ in range(200)])
