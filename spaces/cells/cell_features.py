"""Structural features of cells of four nodes: what the paths from input to output carry.

They are named alike in every kind of cell, so that what is learned of one can be told of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from vitruvius.spaces.cells.cell_classes import CONV1, CONV3, NONE, POOL, CellKind, IntArray
from vitruvius.spaces.space import Feature, FloatArray, TraitValue

# Each path as the positions of its edges; see cell_classes.EDGES.
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
