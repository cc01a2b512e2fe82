"""Transformer encoders of the FlexiBERT spaces.

Operations mix the tokens of a sequence: states [B, T, D] to heads [B, heads, T, d].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.taps import (
    AttentionTap,
    EmbeddingTap,
    HeadTap,
    RepresentationTap,
    announce,
)
from vitruvius.spaces.space import Signature
from vitruvius.spaces.transformers.form import OPERATIONS, BuiltLayer

DEVIATION = 0.02  # of all weights at initialisation, at published widths


def create_operation(layer: BuiltLayer, *, causal: bool, dropout: float) -> nn.Module:
    """Returns the operation that a layer names, without the projection that joins its heads."""
    kind = OPERATIONS[layer.operation]
    if kind == "transform":
        return Transform(layer.hidden, layer.heads, cosine=layer.operation == "dct")
    if kind == "attention":
        return SelfAttention(
            layer.hidden,
            layer.heads,
            weighted=layer.operation == "wma",
            causal=causal,
            dropout=dropout,
        )
    kernel = int(layer.operation.removeprefix("dsc"))
    return SpanConvolution(layer.hidden, layer.heads, kernel, causal=causal, dropout=dropout)


class Attention(nn.Module):
    """softmax(Q K' / sqrt(d)) V for every head (Vaswani et al. 2017, arXiv:1706.03762, eq. 1)."""

    def __init__(self, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.causal = causal
        self.tap = AttentionTap()
        self.dropout = nn.Dropout(dropout)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # [B, heads, T, T]
        if self.causal:
            ahead = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        result: Tensor = self.dropout(self.tap(scores.softmax(dim=-1))) @ value
        return result


class SelfAttention(nn.Module):
    """Scaled dot product; `weighted` puts a further matrix between queries and keys.

    That matrix (weighted multiplicative attention, Luong et al. 2015, arXiv:1508.04025, sect. 3.1)
    works on all heads' queries at once, as in the published code, so it can mix them.
    """

    def __init__(
        self, hidden: int, heads: int, *, weighted: bool, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(hidden, hidden)
        self.weight: nn.Module = nn.Identity()
        if weighted:
            self.weight = nn.Linear(hidden, hidden, bias=False)
        self.key = nn.Linear(hidden, hidden)
        self.value = nn.Linear(hidden, hidden)
        self.attention = Attention(causal=causal, dropout=dropout)

    def forward(self, states: Tensor) -> Tensor:
        query = split(self.weight(self.query(states)), self.heads)
        key, value = split(self.key(states), self.heads), split(self.value(states), self.heads)
        result: Tensor = self.attention(query, key, value)
        return result


class Transform(nn.Module):
    """A linear layer, then a fixed transform over tokens and over each head's features.

    Real part of the discrete Fourier transform, as in FNet (Lee-Thorp et al. 2021,
    arXiv:2105.03824), or DCT-II, each scaled to be orthogonal or unitary, so that its output is no
    larger than its input. It sees all tokens: there is no causal form.
    """

    def __init__(self, hidden: int, heads: int, *, cosine: bool) -> None:
        super().__init__()
        self.heads, self.cosine = heads, cosine
        self.inputs = nn.Linear(hidden, hidden)

    def forward(self, states: Tensor) -> Tensor:
        heads = split(self.inputs(states), self.heads)
        if self.cosine:
            return cosine_transform(cosine_transform(heads, dim=-1), dim=-2)
        waves: Tensor = torch.fft.fft2(heads, norm="ortho")
        return waves.real


class SpanConvolution(nn.Module):
    """Half attention, half convolution whose kernels depend on the tokens they span.

    Jiang et al. 2020, arXiv:2008.02496, sect. 4 (mixed attention). Of `heads` heads' width the
    first half attends; the other half averages `kernel` neighbouring values with weights
    softmax(W (K * Q)), where the key K of a token is a separable convolution around it. A causal
    one looks back only.
    """

    def __init__(
        self, hidden: int, heads: int, kernel: int, *, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.before = kernel - 1 if causal else kernel // 2
        self.heads = max(1, heads // 2)
        half = self.heads * (hidden // heads)
        self.query = nn.Linear(hidden, half)
        self.key = nn.Linear(hidden, half)
        self.value = nn.Linear(hidden, half)
        self.attention = Attention(causal=causal, dropout=dropout)
        self.depthwise = nn.Conv1d(hidden, hidden, kernel, groups=hidden, bias=False)
        self.pointwise = nn.Conv1d(hidden, half, 1)
        self.weights = nn.Linear(half, self.heads * kernel)
        self.convolved = nn.Linear(hidden, half)

    def forward(self, states: Tensor) -> Tensor:
        query = self.query(states)
        key, value = split(self.key(states), self.heads), split(self.value(states), self.heads)
        attended = self.attention(split(query, self.heads), key, value)
        span = self.pointwise(self.depthwise(self._padded(states.transpose(1, 2))))  # [B, d, T]
        weights = split(self.weights(span.transpose(1, 2) * query), self.heads).softmax(dim=-1)
        values = self._padded(self.convolved(states).transpose(1, 2))  # [B, half, T + kernel - 1]
        windows = values.unfold(2, self.kernel, 1)  # [B, half, T, kernel]
        windows = windows.reshape(len(states), self.heads, -1, *windows.shape[2:])
        convolved = torch.einsum("bhdtk,bhtk->bhtd", windows, weights)
        return torch.cat([attended, convolved], dim=1)

    def _padded(self, sequence: Tensor) -> Tensor:
        return functional.pad(sequence, (self.before, self.kernel - 1 - self.before))


def split(states: Tensor, heads: int) -> Tensor:
    """Returns [B, T, heads d] as [B, heads, T, d]."""
    return states.reshape(*states.shape[:2], heads, -1).transpose(1, 2)


def joined(heads: Tensor) -> Tensor:
    """Returns [B, heads, T, d] as [B, T, heads d]."""
    return heads.transpose(1, 2).flatten(2)


def cosine_transform(values: Tensor, *, dim: int) -> Tensor:
    """Returns the orthonormal DCT-II along one axis.

    It is the Fourier transform of the values followed by their mirror image, turned by half a
    step: y_k = c_k sum_n x_n cos(pi k (2 n + 1) / (2 N)), c_0 = sqrt(1 / N), else sqrt(2 / N).

    Example:
        >>> cosine_transform(torch.ones(1, 4), dim=1).round().tolist()
        [[2.0, 0.0, 0.0, 0.0]]
    """
    values = values.movedim(dim, -1)
    length = values.shape[-1]
    mirrored = torch.cat([values, values.flip(-1)], dim=-1)
    waves = torch.fft.rfft(mirrored)[..., :length]
    angles = torch.arange(length, dtype=values.dtype, device=values.device)
    angles = angles * (math.pi / (2 * length))
    cosines = (waves.real * angles.cos() + waves.imag * angles.sin()) / 2
    scale = torch.full_like(angles, math.sqrt(2 / length))
    scale[0] = math.sqrt(1 / length)
    scaled: Tensor = cosines * scale
    return scaled.movedim(-1, dim)


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
