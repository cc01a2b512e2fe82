"""Which cells of four nodes and six edges compute the same, and what their paths carry.

A node's value is a sum, written as a sorted tuple of terms; a term is the input or an operation on
a value. Skips copy terms, edges without value add none, so two cells with the same value at the
output compute the same function of the input, given equal weights for equal terms. Nothing else is
merged: two parallel equal convolutions stay two terms, and the pooling of a sum stays one term.

As in the published classes of NAS-Bench-201 (`iso_rep`), an operation on an all-zero value counts
as zero: a batch norm's bias is ignored. (TransNAS-Bench-101 says the same of its own networks:
cells that differ in dead convolutions alone differ by no more than trainings do, F between 0.88
and 1.17 over five tasks, 273 and 1,459 degrees of freedom.)

Features of paths are named alike in every kind of cell, so that what is learned of one can be told
of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.space import Feature, FloatArray, IntArray, TraitValue

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV1, CONV3, POOL = range(5)


# Each path as the positions of its edges; see EDGES.
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
SHORT = {CONV3: "conv3x3", CONV1: "conv1x1", POOL: "pool"}

_SHARES: tuple[Mapping[str, TraitValue], ...] = (
    {"kind": "none"},
    {"kind": "skip"},
    {"kind": "conv"},
    {"kind": "pool"},
    {"kind": "conv", "kernel": 1},
    {"kind": "conv", "kernel": 3},
)
_POOLING = Feature(name="pooling", kind="count", description="most poolings on one path, 0 to 3")

_SUMMARIES = (
    Feature(name="paths", kind="count", description="paths from input to output, 0 to 4"),
    Feature(
        name="path(skip, input -> output)",
        kind="bool",
        description="a path of skips only leads from the input to the output",
    ),
    Feature(
        name="path(conv, input -> output)",
        kind="bool",
        description="some path from input to output has a convolution",
    ),
    Feature(name="depth", kind="count", description="most convolutions on one path, 0 to 3"),
    Feature(
        name="depth(kernel=3)",
        kind="count",
        description="most 3x3 convolutions on one path, 0 to 3",
    ),
    Feature(
        name="shallowest",
        kind="count",
        description="fewest convolutions on one path, 0 to 3; 0 without a path",
    ),
    _POOLING,
    Feature(
        name="mean_depth",
        kind="ordinal",
        description="convolutions on a path, averaged over the paths, 0 to 3",
    ),
)
Value = tuple[int, ...]  # numbers of terms, sorted


@dataclass(frozen=True, kw_only=True)
class CellKind:
    """What a family of cells may hold, and what makes two of them the same.

    With `strided`, some cells of a network halve the resolution or widen: their edges from the
    input carry that change, so a skip there is an operation with weights of its own and makes a
    term. Elsewhere it is the identity; what is equal where it is a term is equal where it is not.

    With `counts_repeats`, one operation whose output is added twice is not the same as two equal
    ones side by side. NAS-Bench-201's published classes do not tell them apart (430 of the 6,466,
    and 326 of our 4,930, hold cells with different numbers of live convolutions). In
    TransNAS-Bench-101 the second operation is worth 0.18 +- 0.03 points of class_scene,
    0.18 +- 0.05 of class_object and 0.66 +- 0.14 of jigsaw, about half a training's noise.
    """

    operations: int = len(OPERATIONS)  # the first so many of `OPERATIONS`
    strided: bool = False
    counts_repeats: bool = False


NAS_BENCH_201 = CellKind()
TRANSNAS = CellKind(operations=4, strided=True, counts_repeats=True)


@lru_cache(maxsize=4)
def all_cells(kind: CellKind = NAS_BENCH_201) -> IntArray:
    """Returns the operation on each edge, by position, of every cell: [operations^6, 6]."""
    return np.array(list(itertools.product(range(kind.operations), repeat=len(EDGES))))


@lru_cache(maxsize=4)
def representatives(kind: CellKind = NAS_BENCH_201) -> IntArray:
    """Returns the row in `all_cells` of the cell that stands for each cell's class: [N].

    It is the cell with the fewest operations, then with one from input to output, then with the
    earliest edges in use, then the first in the order of `all_cells`. Its dead edges are none,
    since that leaves fewer operations. (Preferring the direct edge makes the slots tell a model
    more: rank correlation 0.74 against 0.68 from 30 cells on ImageNet16-120, Gaussian process.)
    """
    cells = all_cells(kind)
    empty = cells == NONE
    order = np.lexsort((*empty.T[::-1], empty[:, EDGES.index((0, 3))], -empty.sum(axis=1)))
    functions = _functions(kind)
    chosen: dict[Hashable, int] = {}
    for row in order.tolist():
        chosen.setdefault(functions[row], row)
    return np.array([chosen[function] for function in functions])


@lru_cache(maxsize=4)
def neighbours(kind: CellKind = NAS_BENCH_201) -> dict[int, IntArray]:
    """Returns, for each representative, the others that one edge's change leads to, ascending.

    The change may start from any cell of the class: what is dead in the representative may be
    alive after it. So the relation is symmetric and connects all cells, which changes of
    representatives alone do not: in NAS-Bench-201, five of them lead only to one another.
    """
    chosen = representatives(kind)
    rows = np.arange(len(chosen))
    digits = kind.operations ** np.arange(len(EDGES))[::-1]  # all_cells counts in this base
    changed = [
        rows + (operation - all_cells(kind)[:, edge]) * digits[edge]
        for edge in range(len(EDGES))
        for operation in range(kind.operations)
    ]
    starts, ends = np.tile(chosen, len(changed)), chosen[np.concatenate(changed)]
    pairs = np.unique((starts * len(rows) + ends)[starts != ends])
    starts, ends = np.divmod(pairs, len(rows))
    found, first = np.unique(starts, return_index=True)
    return dict(zip(found.tolist(), np.split(ends, first[1:]), strict=True))


def _functions(kind: CellKind) -> list[Hashable]:
    """Returns what tells functions apart for every cell, in the order of `all_cells`.

    That is the value at the output, and with `counts_repeats` the terms of the operations behind
    it, each as often as the cell holds it.
    """
    terms: dict[tuple[int, Value], int] = {}
    source: Value = (0,)

    def carried(operation: int, value: Value) -> Value:
        if operation == NONE or not value:
            return ()
        if operation == SKIP and not (kind.strided and value == source):
            return value
        return (terms.setdefault((operation, value), len(terms) + 1),)

    def added(*parts: Value) -> Value:
        return tuple(sorted(itertools.chain(*parts)))

    every = range(kind.operations)
    found: list[Hashable] = []
    for e01, e02, e12 in itertools.product(every, repeat=3):
        first = carried(e01, source)
        through = carried(e12, first)
        second = added(carried(e02, source), through)
        into = [[carried(op, value) for op in every] for value in (source, first, second)]
        for e03, e13, e23 in itertools.product(every, repeat=3):
            output = added(into[0][e03], into[1][e13], into[2][e23])
            if not kind.counts_repeats:
                found.append(output)
                continue
            held = [into[0][e03]]
            held += [into[1][e13]] if e13 != SKIP else []
            held += [into[2][e23]] if e23 != SKIP else []
            held += [carried(e02, source)] if e23 else []
            held += [through] if e23 and e12 != SKIP else []
            held += [first] if e13 or (e12 and e23) else []
            found.append((output, tuple(term for term in added(*held) if term)))  # 0: no operation
    return found


def shares(kind: CellKind) -> tuple[Mapping[str, TraitValue], ...]:
    """Returns the sets of traits whose share of the edges is a feature."""
    return tuple(traits for traits in _SHARES if _has_pooling(kind) or traits["kind"] != "pool")


@lru_cache(maxsize=4)
def structure(kind: CellKind) -> tuple[Feature, ...]:
    """Returns the features of the paths: summaries, and how many carry each content."""
    summaries = (each for each in _SUMMARIES if _has_pooling(kind) or each is not _POOLING)
    return (*summaries, *(_content_feature(content) for content in _contents(kind)))


def structure_columns(kind: CellKind, cells: IntArray) -> FloatArray:
    """Returns the columns of `structure` [N, F] for operations on edges [N, 6]."""
    alive = np.stack([(cells[:, path] != NONE).all(axis=1) for path in PATHS], axis=1)
    counts = {
        operation: np.stack([(cells[:, path] == operation).sum(axis=1) for path in PATHS], axis=1)
        for operation in SHORT
    }  # by operation: [N, 4 paths]
    convs = counts[CONV1] + counts[CONV3]
    paths = alive.sum(axis=1)
    pure = alive & (convs + counts[POOL] == 0)
    columns = [
        paths,
        pure.any(axis=1),
        (alive & (convs > 0)).any(axis=1),
        (alive * convs).max(axis=1),
        (alive * counts[CONV3]).max(axis=1),
        np.where(alive, convs, 4).min(axis=1) * (paths > 0),
        *([(alive * counts[POOL]).max(axis=1)] if _has_pooling(kind) else []),
        (alive * convs).sum(axis=1) / np.maximum(paths, 1),
    ]
    for content in _contents(kind):
        matches = alive.copy()
        for operation, count in counts.items():
            matches &= count == content.count(operation)
        columns.append(matches.sum(axis=1))
    return np.stack(columns, axis=1).astype(np.float64)


def _has_pooling(kind: CellKind) -> bool:
    return kind.operations > POOL


def _contents(kind: CellKind) -> tuple[tuple[int, ...], ...]:
    """Returns what a path can carry besides skips, in any order: (), (conv3x3,), ..."""
    short = [operation for operation in SHORT if operation < kind.operations]
    return tuple(
        content
        for length in range(4)
        for content in itertools.combinations_with_replacement(short, length)
    )


def _content_feature(content: tuple[int, ...]) -> Feature:
    text = "+".join(SHORT[operation] for operation in content) or "skip"
    return Feature(
        name=f"paths({text})",
        kind="count",
        description="paths from input to output that carry just this, in any order, and skips",
    )
