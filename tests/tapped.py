"""Tiny networks that announce their inner quantities: a recurrent one and a transformer."""

import math

import torch
from torch import Tensor, nn

from vitruvius.spaces.builders.taps import (
    AttentionTap,
    EmbeddingTap,
    HeadTap,
    HiddenTap,
    RepresentationTap,
    announce,
)

VOCABULARY = 11


class Cell(nn.Module):
    """h' = tanh(W x + U h)."""

    def __init__(self, inputs: int, hidden: int, layer: int) -> None:
        super().__init__()
        self.tap = HiddenTap(layer=layer)
        self.x = announce(nn.Linear(inputs, hidden), reads="x", position=0)
        self.h = announce(nn.Linear(hidden, hidden, bias=False), reads="hidden", position=1)
        self.activation = nn.Tanh()

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return self.activation(self.x(x) + self.h(self.tap(state)))


class Recurrent(nn.Module):
    """A language model [B, T] to [B, T, vocabulary], or with one answer for each sequence."""

    def __init__(
        self,
        *,
        vocabulary: int = VOCABULARY,
        width: int = 6,
        hidden: int = 8,
        layers: int = 2,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        self.hidden, self.is_classifier = hidden, outputs is not None
        self.embedding = nn.Embedding(vocabulary, width)
        self.tap = EmbeddingTap()
        self.dropout = nn.Dropout(0.3)
        self.cells = nn.ModuleList(
            Cell(hidden if i else width, hidden, i + 1) for i in range(layers)
        )
        self.representation = RepresentationTap()
        self.decoder = nn.Linear(hidden, outputs or vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.tap(self.embedding(tokens)))
        for cell in self.cells:
            state, states = x.new_zeros(len(x), self.hidden), []
            for t in range(x.shape[1]):
                state = cell(x[:, t], state)
                states.append(state)
            x = torch.stack(states, dim=1)
        x = x[:, -1] if self.is_classifier else x
        return self.decoder(self.representation(x))


class Block(nn.Module):
    """Self-attention and feed-forward, each behind a residual and a layer normalisation."""

    def __init__(self, width: int, heads: int, wide: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.queries, self.keys, self.values = (
            announce(nn.Linear(width, width), part="operation") for _ in range(3)
        )
        self.attention, self.head = AttentionTap(), HeadTap()
        self.projection = announce(nn.Linear(width, width), part="projection")
        self.first = announce(nn.Linear(width, wide), part="feed_forward")
        self.activation = announce(nn.GELU(), part="feed_forward")
        self.second = announce(nn.Linear(wide, width), part="feed_forward")
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._split(layer(x)) for layer in (self.queries, self.keys, self.values))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if self.causal:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        heads = self.head(self.attention(scores.softmax(dim=-1)) @ v)  # [B, heads, T, d]
        joined = heads.transpose(1, 2).flatten(2)
        x = self.norms[0](x + self.dropout(self.projection(joined)))
        return self.norms[1](x + self.second(self.activation(self.first(x))))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Transformer(nn.Module):
    """A masked-token model [B, T] to [B, T, vocabulary], its last states normalised."""

    def __init__(
        self, *, width: int = 128, heads: int = 2, wide: int = 16, causal: bool = False
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.tap = EmbeddingTap()
        self.blocks = nn.Sequential(*(Block(width, heads, wide, causal=causal) for _ in range(2)))
        self.representation = RepresentationTap()
        self.decoder = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tap(self.embedding(tokens))
        return self.decoder(self.representation(self.blocks(x)))
