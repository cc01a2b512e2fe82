"""Parameters of FlexiBERT networks, counted without building them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vitruvius.spaces.space import Signature
from vitruvius.spaces.transformers.form import (
    OPERATIONS,
    BuiltAs,
    BuiltLayer,
    Layer,
    built_layers,
)

# Of the published networks: words, positions, kinds of tokens, and the width they are embedded in.
VOCABULARY, POSITIONS, TOKEN_TYPES, EMBEDDING = 30_522, 512, 2, 128


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


def published_params(layers: Sequence[Layer], built_as: BuiltAs) -> int:
    """Returns the parameters of the published encoders, without heads for any task.

    `specified`: those that the published metrics were meant for; there a transform has no
    normalisation (nor residual) of its own. `trained`: those that were trained. The stored
    metrics were computed on `specified` networks of hidden size 256 and feed-forward width 1,024,
    whatever was specified.
    """
    built = built_layers(layers, built_as)
    entry = (VOCABULARY + POSITIONS + TOKEN_TYPES + 2) * EMBEDDING
    lacking = sum(2 * one.hidden for one in built if OPERATIONS[one.operation] == "transform")
    return entry + _bridge(EMBEDDING, built[0].hidden) + body_params(built) - lacking


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _bridge(inputs: int, outputs: int) -> int:
    return 0 if inputs == outputs else _linear(inputs, outputs)
