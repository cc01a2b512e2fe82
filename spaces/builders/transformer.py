"""Transformer encoders of the FlexiBERT spaces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.taps import EmbeddingTap, HeadTap, RepresentationTap, announce
from vitruvius.spaces.builders.token_mixing import create_operation, joined
from vitruvius.spaces.space import Signature
from vitruvius.spaces.transformers.form import OPERATIONS, BuiltLayer

DEVIATION = 0.02  # of all weights at initialisation, at published widths


class Transformer(nn.Module):
    """Embedding, layers, and a head for every token or for the mean over tokens.

    Normalisation follows each residual sum, as in BERT (Devlin et al. 2019, arXiv:1810.04805);
    sizes are those of ELECTRA-small (Clark et al. 2020, arXiv:2003.10555). Where outputs are the
    words of the vocabulary, the decoder's weights are those of the embedding.
    """

    def __init__(
        self,
        layers: Sequence[Mapping[str, Any]],
        signature: Mapping[str, Any],
        *,
        embedding: int,
        deviation: float = DEVIATION,
        dropout: float = 0.0,
    ) -> None:
        """Makes the network of plain data, so that it can be exported; biases are zero.

        Args:
            layers: each the fields of a `BuiltLayer`.
            signature: the fields of a `Signature`.
            embedding: width of the embedding.
            deviation: of the normal distribution that weights are drawn from.
            dropout: share of activations and attention weights.

        Raises:
            ConfigError: if the signature has another form than the space serves.
        """
        super().__init__()
        wanted, built = Signature(**signature), [BuiltLayer(**layer) for layer in layers]
        refuse_uncausal(built, wanted)
        self.embedding = Embedding(wanted, embedding, dropout)
        self.widen = _bridge(embedding, built[0].hidden)
        blocks: list[nn.Module] = []
        for place, layer in enumerate(built):
            if place and built[place - 1].hidden != layer.hidden:
                blocks.append(nn.Linear(built[place - 1].hidden, layer.hidden))
            blocks.append(Block(layer, causal=wanted.causal, dropout=dropout))
        self.layers = nn.Sequential(*blocks)
        self.represent = RepresentationTap()
        self.per_token = wanted.per_token
        self.head = _head(wanted, built[-1].hidden, embedding)
        for module in self.modules():
            _initialise(module, deviation)
        if isinstance(self.head, TokenHead) and wanted.vocabulary == wanted.outputs:
            self.head.decoder.weight = self.embedding.inputs.weight

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.layers(self.widen(self.embedding(inputs)))  # [B, T, D]
        if not self.per_token:
            states = states.mean(dim=1)  # [B, D]
        output: Tensor = self.head(self.represent(states))
        return output


class Embedding(nn.Module):
    """Tokens [B, T] or values [B, C, ...] to [B, T, E]: what they are plus where they stand."""

    def __init__(self, signature: Signature, width: int, dropout: float) -> None:
        super().__init__()
        shape = signature.input_shape
        self.inputs: nn.Embedding | nn.Linear
        if signature.vocabulary is not None:
            if len(shape) != 1:
                raise ConfigError(f"expected tokens of shape (length,), got {shape}")
            self.inputs = nn.Embedding(signature.vocabulary, width)
            length = shape[0]
        else:
            if len(shape) < 2:
                raise ConfigError(
                    "a transformer takes tokens, or values of shape (channels, length) or"
                    f" (channels, height, width), got {shape}"
                )
            self.inputs = nn.Linear(shape[0], width)
            length = math.prod(shape[1:])
        self.tap = EmbeddingTap()
        self.positions = nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        if isinstance(self.inputs, nn.Linear):
            inputs = inputs.flatten(2).transpose(1, 2)  # [B, T, C]
        embedded = self.tap(self.inputs(inputs))  # [B, T, E]
        places = torch.arange(embedded.shape[1], device=embedded.device)
        result: Tensor = self.dropout(self.norm(embedded + self.positions(places)))
        return result


class Block(nn.Module):
    """One encoder layer: an operation between tokens, then feed-forward layers on each token."""

    def __init__(self, layer: BuiltLayer, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.operation = create_operation(layer, causal=causal, dropout=dropout)
        self.heads = HeadTap()
        self.project: nn.Module = nn.Identity()  # a transform ends a layer's mixing by itself
        if OPERATIONS[layer.operation] != "transform":
            self.project = nn.Linear(layer.hidden, layer.hidden)
        for module in self.operation.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                announce(module, part="operation")
        announce(self.project, part="projection")
        self.operation_norm = nn.LayerNorm(layer.hidden)
        self.feed_forward = _feed_forward(layer)
        self.feed_forward_norm = nn.LayerNorm(layer.hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        mixed = self.project(joined(self.heads(self.operation(states))))
        states = self.operation_norm(states + self.dropout(mixed))
        result: Tensor = self.feed_forward_norm(states + self.dropout(self.feed_forward(states)))
        return result


class TokenHead(nn.Module):
    """Predicts a class for every token: [B, T, D] to [B, T, outputs]."""

    def __init__(self, hidden: int, embedding: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, embedding)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(embedding)
        self.decoder = nn.Linear(embedding, outputs)

    def forward(self, states: Tensor) -> Tensor:
        output: Tensor = self.decoder(self.norm(self.activation(self.dense(states))))
        return output


def refuse_uncausal(layers: Sequence[BuiltLayer], signature: Signature) -> None:
    """Checks that a network that may not look ahead has no layer that must.

    Raises:
        ConfigError: names the operation.
    """
    for place, layer in enumerate(layers, start=1):
        if signature.causal and OPERATIONS[layer.operation] == "transform":
            raise ConfigError(
                f"layer {place} is a {layer.operation}, which mixes all tokens, later ones too, so"
                " it cannot predict the next token; use sdp, wma or a dsc (flexibert:causal=yes has"
                " no others)"
            )


def _head(signature: Signature, hidden: int, embedding: int) -> nn.Module:
    if signature.per_token:
        return TokenHead(hidden, embedding, signature.outputs)
    return nn.Linear(hidden, signature.outputs)


def _feed_forward(layer: BuiltLayer) -> nn.Sequential:
    widths = (layer.hidden, *layer.ff_widths)
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        parts += [nn.Linear(inputs, outputs), nn.GELU()]
    parts.append(nn.Linear(widths[-1], layer.hidden))
    return nn.Sequential(*(announce(part, part="feed_forward") for part in parts))


def _bridge(inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs)


def _initialise(module: nn.Module, deviation: float) -> None:
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
        nn.init.normal_(module.weight, std=deviation)
    if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
        nn.init.zeros_(module.bias)
