"""The pass that scores share: one forward pass of the batch, and backward passes as asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.tools.passes.copies import create_twin, weight_of, weighted_layers
from vitruvius.tools.passes.hooks import Record, record

IGNORED = -100  # the label of a token that is not judged


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Gradients of one number, all of one backward pass; 0 where it does not reach a tensor.

    `weights` goes with `Graph.layers`, `outputs` with `record.layers`, `hidden` with
    `record.states`, `heads` with `record.heads`, `embeddings` with `Graph.embeddings`, `entry` with
    `record.entry`.
    """

    weights: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    hidden: tuple[Tensor, ...]
    heads: tuple[Tensor, ...]
    embeddings: tuple[Tensor, ...]
    entry: tuple[Tensor, ...]


class Graph:
    """One forward pass of a twin with its graph, for as many backward passes as are needed."""

    def __init__(self, network: nn.Module, inputs: Tensor) -> None:
        self.twin = create_twin(network)
        self.record: Record = record(self.twin, inputs)

    @cached_property
    def layers(self) -> list[nn.Module]:
        """Convolutions and linear layers, each weight once."""
        return weighted_layers(self.twin)

    @cached_property
    def tables(self) -> list[Tensor]:
        """Weights of embeddings, each once."""
        embeddings = [m for m in self.twin.modules() if isinstance(m, nn.Embedding)]
        return list({id(m.weight): m.weight for m in embeddings}.values())

    @cached_property
    def embeddings(self) -> list[Tensor]:
        """Weights of embeddings that are no layer's weight as well."""
        weights = {id(weight_of(layer)) for layer in self.layers}
        return [table for table in self.tables if id(table) not in weights]

    def slopes(self, number: Tensor, *, curved: bool = False) -> Slopes:
        """Returns the gradients of a number [] of this graph; the graph is kept.

        Args:
            number: to be differentiated.
            curved: whether the gradients can be differentiated again; then they are not detached.
        """
        groups: dict[str, list[Tensor]] = {
            "weights": [weight_of(layer) for layer in self.layers],
            "outputs": [call.given for call in self.record.layers],
            "hidden": self.record.states,
            "heads": self.record.heads,
            "embeddings": self.embeddings,
            "entry": [self.record.entry],
        }
        flat = [tensor for group in groups.values() for tensor in group]
        found = iter(gradients_of(number, flat, curved=curved))
        parts = {name: tuple(next(found) for _ in group) for name, group in groups.items()}
        return Slopes(**parts)


def gradients_of(
    number: Tensor, tensors: list[Tensor], *, curved: bool = False, keep: bool = True
) -> list[Tensor]:
    """Returns the gradients of a number; zeros where it does not reach a tensor.

    `curved` ones can be differentiated again; without `keep` the graph is freed on the way.
    """
    reached = [i for i, t in enumerate(tensors) if t.requires_grad] if number.requires_grad else []
    found = [torch.zeros(0)] * len(tensors)
    if reached:
        asked = [tensors[i] for i in reached]
        slopes = torch.autograd.grad(
            number, asked, retain_graph=keep, create_graph=curved, allow_unused=True
        )
        for i, slope in zip(reached, slopes, strict=True):
            if slope is not None:
                found[i] = slope if curved else slope.detach()
    return [
        torch.zeros_like(tensor) if slope.shape != tensor.shape else slope
        for slope, tensor in zip(found, tensors, strict=True)
    ]


def batch_loss(output: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean cross-entropy of outputs [B, C] or, per token, [B, T, C]."""
    flat = output.reshape(-1, output.shape[-1])
    return functional.cross_entropy(flat, labels.reshape(-1), ignore_index=IGNORED)
