"""Structural features of FlexiBERT architectures, and their parameters, counted without a build."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from vitruvius.spaces.space import Feature, FloatArray, Signature
from vitruvius.spaces.transformers.form import (
    KINDS,
    OPERATIONS,
    BuiltAs,
    BuiltLayer,
    Kind,
    Layer,
    Layers,
    Menu,
    built_layers,
)

EMBEDDING = 128  # the width in which the published networks embed their words

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


def network_params(layers: Sequence[BuiltLayer], signature: Signature, embedding: int) -> int:
    """Returns the number of parameters of `spaces.builders.transformer.Transformer`.

    Args:
        layers: as built.
        signature: what the network takes in and gives out.
        embedding: width of the embedding, as built.
    """
    if signature.vocabulary is None:
        length = 1
        for side in signature.input_shape[1:]:
            length *= side
        inputs = _linear(signature.input_shape[0], embedding)
    else:
        length = signature.input_shape[0]
        inputs = signature.vocabulary * embedding
    first, last = layers[0].hidden, layers[-1].hidden
    total = inputs + length * embedding + 2 * embedding + _bridge(embedding, first)
    total += body_params(layers)
    if not signature.per_token:
        return total + _linear(last, signature.outputs)
    total += _linear(last, embedding) + 2 * embedding + signature.outputs
    is_tied = signature.vocabulary == signature.outputs
    return total + (0 if is_tied else embedding * signature.outputs)


def body_params(layers: Sequence[BuiltLayer]) -> int:
    """Returns the parameters of the layers and of what changes the width between them."""
    between = sum(_bridge(one.hidden, other.hidden) for one, other in pairwise(layers))
    return between + sum(map(layer_params, layers))


def layer_params(layer: BuiltLayer) -> int:
    """Returns the parameters of one layer: operation, feed-forward part, two normalisations."""
    widths = (layer.hidden, *layer.ff_widths, layer.hidden)
    feed_forward = sum(_linear(one, other) for one, other in pairwise(widths))
    return operation_params(layer) + feed_forward + 4 * layer.hidden


def operation_params(layer: BuiltLayer) -> int:
    """Returns the parameters of the operation that mixes the tokens."""
    hidden = layer.hidden
    kind = OPERATIONS[layer.operation]
    if kind == "transform":
        return _linear(hidden, hidden)
    if kind == "attention":
        weighted = hidden * hidden if layer.operation == "wma" else 0
        return 4 * _linear(hidden, hidden) + weighted
    heads = max(1, layer.heads // 2)  # the other half of the width is convolved
    half, kernel = heads * (hidden // layer.heads), int(layer.operation.removeprefix("dsc"))
    span = hidden * kernel + _linear(hidden, half)
    return (
        4 * _linear(hidden, half) + span + _linear(half, heads * kernel) + _linear(hidden, hidden)
    )


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _bridge(inputs: int, outputs: int) -> int:
    return 0 if inputs == outputs else _linear(inputs, outputs)
