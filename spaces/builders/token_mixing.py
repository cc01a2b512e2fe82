"""Operations that mix the tokens of a sequence: states [B, T, D] to heads [B, heads, T, d]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.spaces.builders.taps import AttentionTap
from vitruvius.spaces.transformers.form import OPERATIONS, BuiltLayer


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
