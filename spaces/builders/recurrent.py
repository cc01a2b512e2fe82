"""Networks of recurrent cells: language models and classifiers of sequences.

The published network (Klyuchnikov et al. 2020, arXiv:2006.07116) is that of 3 layers of 600 units
on an embedding of 400: the last layer is as wide as the embedding, whose weights the decoder has.
A layer is a cell of any graph, applied step by step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from vitruvius.errors import ConfigError
from vitruvius.spaces.builders.taps import EmbeddingTap, HiddenTap, RepresentationTap, announce
from vitruvius.spaces.recurrent.graph import (
    BLEND,
    LEAKY,
    LINEAR,
    PRODUCT,
    SIGMOID,
    SUM,
    TANH,
    Graph,
    X,
    from_recipe,
    in_order,
    new,
    previous,
    state_read,
    states,
)

ACTIVATION_MODULES: dict[str, type[nn.Module]] = {
    TANH: nn.Tanh,
    SIGMOID: nn.Sigmoid,
    LEAKY: nn.LeakyReLU,  # 0.01 below zero
}

EMBEDDING_RANGE = 0.1  # tokens' vectors are drawn uniformly between minus this and this


class _Step(NamedTuple):
    """A node as the loop over time meets it: values are kept by place, old states first."""

    op: str
    inputs: tuple[int, ...]  # places; of a linear node those that are not x
    part: nn.Module | None  # the activation
    matrices: tuple[nn.Module, ...]  # of a linear node, one for each of `inputs`
    fed: Sequence[Tensor] | None  # what x adds to a linear node, by step


class RecurrentLayer(nn.Module):
    """A layer of H units: [T, B, D] to the output state after every step, [T, B, H].

    A linear node is one `nn.Linear` for each input, of which the first has the node's bias. What x
    is multiplied by is applied to all steps at once, before the loop over time.
    """

    def __init__(self, graph: Graph, inputs: int, hidden: int, layer: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.count = states(graph)
        self.entering = HiddenTap(layer)
        order = in_order(graph)
        places = {previous(state): state for state in range(self.count)}
        places |= {name: self.count + place for place, name in enumerate(order)}
        self.outputs = [places[new(state)] for state in range(self.count)]
        self.plan = [
            (
                graph[name].op,
                tuple(-1 if each == X else places[each] for each in graph[name].inputs),
            )
            for name in order
        ]
        self.parts = nn.ModuleList(
            _linear(graph[name].inputs, inputs, hidden)
            if graph[name].op == LINEAR
            else ACTIVATION_MODULES.get(graph[name].op, nn.Identity)()
            for name in order
        )
        limit = 1 / math.sqrt(hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -limit, limit)

    def freeze(self) -> None:
        """Keeps every weight matrix that is not fed by x as it is; biases are trained."""
        for module in self.modules():
            if isinstance(module, nn.Linear) and getattr(module, "reads", "x") != "x":
                module.weight.requires_grad_(False)

    def forward(self, values: Tensor) -> Tensor:
        """Returns the output state [T, B, H] after each step; states start at zero."""
        program = self._program(values)
        held = [values.new_zeros(values.shape[1], self.hidden)] * self.count
        outputs = []
        for time in range(len(values)):
            held = self._step(program, time, [self.entering(held[0]), *held[1:]])
            outputs.append(held[0])
        return torch.stack(outputs)

    def _program(self, values: Tensor) -> list[_Step]:
        program = []
        for (op, inputs), part in zip(self.plan, self.parts, strict=True):
            matrices = tuple(cast(nn.ModuleList, part)) if op == LINEAR else ()
            fed = [matrix(values) for at, matrix in zip(inputs, matrices, strict=False) if at < 0]
            kept = [(at, matrix) for at, matrix in zip(inputs, matrices, strict=False) if at >= 0]
            program.append(
                _Step(
                    op=op,
                    inputs=tuple(at for at, _ in kept) if op == LINEAR else inputs,
                    part=part,
                    matrices=tuple(matrix for _, matrix in kept),
                    fed=sum(fed[1:], fed[0]).unbind(0) if fed else None,
                )
            )
        return program

    def _step(self, program: list[_Step], time: int, values: list[Tensor]) -> list[Tensor]:
        """Returns the new states. `values` holds the old ones and takes the nodes' values."""
        for op, inputs, part, matrices, fed in program:
            if op == LINEAR:
                total = None if fed is None else fed[time]
                for at, matrix in zip(inputs, matrices, strict=True):
                    product = matrix(values[at])
                    total = product if total is None else total + product
                assert total is not None
                values.append(total)
            elif op == BLEND:
                weight, first, second = (values[at] for at in inputs)
                values.append(weight * first + (1 - weight) * second)
            elif op == PRODUCT:
                values.append(values[inputs[0]] * values[inputs[1]])
            elif op == SUM:
                values.append(values[inputs[0]] + values[inputs[1]])
            else:
                assert part is not None
                values.append(part(values[inputs[0]]))
        return [values[at] for at in self.outputs]


def _linear(inputs: Sequence[str], width: int, hidden: int) -> nn.ModuleList:
    """Returns a weight matrix for each input, the first with a bias."""
    return nn.ModuleList(
        announce(
            undrawn(width if name == X else hidden, hidden, has_bias=position == 0),
            reads="x" if name == X else "node" if state_read(name) is None else "hidden",
            position=position,
        )
        for position, name in enumerate(inputs)
    )


def undrawn(inputs: int, outputs: int, *, has_bias: bool) -> nn.Linear:
    """Returns a linear layer whose weights are yet to be drawn: torch's own draw takes as long."""
    layer = nn.Linear(inputs, outputs, bias=has_bias, device="meta")
    return layer.to_empty(device=torch.get_default_device())


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
