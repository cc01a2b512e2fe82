"""Networks of recurrent cells: language models and classifiers of sequences.

The published network (Klyuchnikov et al. 2020, arXiv:2006.07116) is that of 3 layers of 600 units
on an embedding of 400: the last layer is as wide as the embedding, whose weights the decoder has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.recurrent_layer import RecurrentLayer, undrawn
from vitruvius.spaces.builders.taps import EmbeddingTap, RepresentationTap
from vitruvius.spaces.recurrent.graph import from_recipe

EMBEDDING_RANGE = 0.1  # tokens' vectors are drawn uniformly between minus this and this


class RecurrentNetwork(nn.Module):
    """Embedding, layers of one cell, classifier or decoder: [B, T] or [B, C, L] to outputs.

    Tokens are embedded; of other inputs each step goes through a linear layer. States start at
    zero. Every parameter of a layer of H units is drawn from U(-1/sqrt(H), 1/sqrt(H)).
    """

    def __init__(
        self,
        recipe: Mapping[str, Mapping[str, Any]],
        input_shape: tuple[int, ...],
        outputs: int,
        *,
        vocabulary: int | None,
        per_token: bool,
        layers: int,
        hidden: int,
        embedding: int,
        is_frozen: bool,
        reading: str,
    ) -> None:
        """Makes the network, of plain data so that it can be exported.

        Args:
            recipe: the cell, as written: the order of its inputs is kept.
            input_shape: (T,) of tokens, (C, L) of a series, (C, H, W) of an image.
            outputs: classes, or words.
            vocabulary: how many tokens there are; None where the inputs are values.
            per_token: whether every step has an answer.
            layers: how many cells are on top of each other.
            hidden: units of each layer, but for the last one of a language model.
            embedding: width of the first layer's input.
            is_frozen: whether weight matrices that are not fed by x stay as they are drawn.
            reading: `last` or `mean`: what a single answer for a sequence is judged by.

        Raises:
            ConfigError: if the input is neither tokens nor a series nor an image.
        """
        super().__init__()
        self.has_tokens = vocabulary is not None
        self.per_token = per_token
        self.reading = reading
        self.embed = _embedder(vocabulary, input_shape, embedding)
        self.embedded = EmbeddingTap()
        is_tied = per_token and vocabulary == outputs
        widths = [embedding, *[hidden] * layers]
        if is_tied:
            widths[-1] = embedding
        self.layers = nn.ModuleList(
            RecurrentLayer(from_recipe(recipe), widths[place], widths[place + 1], place + 1)
            for place in range(layers)
        )
        self.represented = RepresentationTap()
        if is_tied:
            self.head = undrawn(widths[-1], outputs, has_bias=True)
            self.head.weight = cast(nn.Embedding, self.embed).weight
            nn.init.zeros_(self.head.bias)
        else:
            self.head = nn.Linear(widths[-1], outputs)
        if is_frozen:
            for layer in self.layers:
                cast(RecurrentLayer, layer).freeze()

    def forward(self, inputs: Tensor) -> Tensor:
        """Returns [B, outputs] or, with one answer for every token, [B, T, outputs]."""
        steps = inputs if self.has_tokens else _as_steps(inputs)
        values: Tensor = self.embedded(self.embed(steps))  # [B, T, D]
        values = values.transpose(0, 1)  # [T, B, D]
        for layer in self.layers:
            values = layer(values)
        if self.per_token:
            values = values.transpose(0, 1)
        elif self.reading == "last":
            values = values[-1]
        else:
            values = values.mean(dim=0)
        result: Tensor = self.head(self.represented(values))
        return result


def _embedder(vocabulary: int | None, shape: tuple[int, ...], width: int) -> nn.Module:
    """Returns what makes a vector of each step's input.

    Raises:
        ConfigError: if the input is neither tokens nor a series nor an image.
    """
    if vocabulary is not None:
        embedder = nn.Embedding(vocabulary, width)
        nn.init.uniform_(embedder.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
        return embedder
    if len(shape) not in (2, 3):
        raise ConfigError(
            "recurrent networks read tokens, series (channels, length) or images (channels, height,"
            f" width) row by row, not inputs of shape {shape}"
        )
    return nn.Linear(shape[0] if len(shape) == 2 else shape[0] * shape[2], width)


def _as_steps(inputs: Tensor) -> Tensor:
    """Returns a series [B, C, L] or an image [B, C, H, W] as steps [B, L, C] or [B, H, C * W]."""
    if inputs.dim() == 3:
        return inputs.transpose(1, 2)
    return inputs.transpose(1, 2).flatten(2)
