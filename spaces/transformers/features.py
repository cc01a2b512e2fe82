"""Structural features of FlexiBERT architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from vitruvius.spaces.space import Feature, FloatArray
from vitruvius.spaces.transformers.form import (
    KINDS,
    OPERATIONS,
    BuiltAs,
    Kind,
    Layer,
    Layers,
    Menu,
    built_layers,
)
from vitruvius.spaces.transformers.size import body_params

Column = Callable[[Layers], float]


def feature_columns(menu: Menu, built_as: BuiltAs) -> list[tuple[Feature, Column]]:
    """Returns each feature with the function of layers that computes it.

    Features of choices without effect in these networks are left out: they would be constant.
    """
    found = [
        _ordinal("depth", "number of layers", len),
        _ordinal(
            "log2_params",
            "log2 of the layers' parameters at published widths, without embedding and head",
            lambda layers: math.log2(body_params(built_layers(layers, built_as))),
        ),
    ]
    if menu.hidden_by_layer:
        found += _numbers("hidden", "hidden size", lambda layer: layer.hidden)
        found.append(_changes_of_width())
    else:
        found.append(_ordinal("hidden", "hidden size of all layers", lambda ls: ls[0].hidden))
    found += _numbers("heads", "number of heads", lambda layer: layer.heads)
    found += _numbers("ff_layers", "number of feed-forward layers", lambda layer: layer.ff_layers)
    if built_as == "trained":
        found += _numbers("ff_extra", "width of extra feed-forward layers, 0 if none", _extra_width)
        return found
    found += _numbers("ff_width", "feed-forward width", lambda layer: layer.ff_width)
    return found + _operations(menu)


def _operations(menu: Menu) -> list[tuple[Feature, Column]]:
    kinds = [kind for kind in KINDS if any(OPERATIONS[o] == kind for o in menu.operations)]
    found = [_share(f"operation={name}", _is_operation(name)) for name in menu.operations]
    found += [_share(f"kind={kind}", _is_kind(kind)) for kind in kinds]
    for end, place in (("first", 0), ("last", -1)):
        found += [_at_end(end, place, kind) for kind in kinds]
    feature = Feature(
        name="changes_of_kind",
        kind="count",
        description="neighbouring layers whose operations are of different kinds",
    )
    return [*found, (feature, lambda ls: sum(a.kind != b.kind for a, b in pairwise(ls)))]


def featurised(
    columns: Sequence[tuple[Feature, Column]], architectures: Sequence[Layers]
) -> FloatArray:
    """Returns the feature matrix [N, F]."""
    rows = [[column(layers) for _, column in columns] for layers in architectures]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))


def _numbers(name: str, about: str, number: Callable[[Layer], int]) -> list[tuple[Feature, Column]]:
    return [
        _ordinal(f"mean_{name}", f"{about}, mean over layers", lambda ls: _mean(ls, number)),
        _ordinal(f"first_{name}", f"{about}, in the first layer", lambda ls: number(ls[0])),
        _ordinal(f"last_{name}", f"{about}, in the last layer", lambda ls: number(ls[-1])),
    ]


def _mean(layers: Layers, number: Callable[[Layer], float]) -> float:
    return sum(map(number, layers)) / len(layers)


def _ordinal(name: str, about: str, column: Column) -> tuple[Feature, Column]:
    return Feature(name=name, kind="ordinal", description=about), column


def _share(trait: str, holds: Callable[[Layer], bool]) -> tuple[Feature, Column]:
    about = f"share of layers with {trait.replace('=', ' ')}"
    feature = Feature(name=f"share({trait})", kind="share", description=about)
    return feature, lambda layers: _mean(layers, holds)


def _at_end(end: str, place: int, kind: Kind) -> tuple[Feature, Column]:
    feature = Feature(
        name=f"{end}_layer({kind})",
        kind="bool",
        description=f"the {end} layer's operation is of the kind {kind}",
    )
    return feature, lambda layers: float(layers[place].kind == kind)


def _changes_of_width() -> tuple[Feature, Column]:
    feature = Feature(
        name="changes_of_hidden",
        kind="count",
        description="neighbouring layers of different hidden size, with a linear layer between",
    )
    return feature, lambda layers: sum(a.hidden != b.hidden for a, b in pairwise(layers))


def _is_operation(name: str) -> Callable[[Layer], bool]:
    return lambda layer: layer.operation == name


def _is_kind(kind: Kind) -> Callable[[Layer], bool]:
    return lambda layer: layer.kind == kind


def _extra_width(layer: Layer) -> int:
    return layer.ff_width if layer.ff_layers > 1 else 0
