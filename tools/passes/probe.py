"""Passes through a network that training-free scores share; the network is left as it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from vitruvius.spaces.space import Signature
from vitruvius.tools.passes.copies import DoesNotApply, create_twin, weight_of
from vitruvius.tools.passes.data_free import depth, synaptic_flow, zen_terms
from vitruvius.tools.passes.example_gradients import (
    Jacobian,
    Of,
    jacobians,
    noised_jacobians,
    tangent_kernel,
)
from vitruvius.tools.passes.flops import count_flops, count_params, device_of
from vitruvius.tools.passes.forward_backward import Graph, Slopes, batch_loss, gradients_of
from vitruvius.tools.passes.hooks import Record, hidden_of, record_states

__all__ = ["Batch", "DoesNotApply", "Passes", "Probe"]

Passes = Literal["states", "graph", "curvature", "outputs", "targets"]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples for a score: inputs [B, *input_shape] float32 or int64 tokens, labels int64.

    Labels are [B] or, per token, [B, T]; None where only inputs are at hand (a table of networks
    for text, for which random tokens stand in).
    """

    inputs: Tensor
    labels: Tensor | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A network, perhaps a batch, and the passes over them, each made once and on a copy.

    One forward pass serves every score of the batch, one backward pass those of the loss. `plans`
    says beforehand what will be asked for: then the cheap pass of the hidden states is not made
    where the whole graph will be, and the loss's gradients are made once where they are to be
    differentiated again; `deepest` is the deepest layer whose hidden states will be asked for.
    Leaving them out costs time, never a number.

    Random draws inside come from generators of fixed seed, so the same network and batch give the
    same numbers. `batch` is None where a task has no data (a table).
    """

    network: nn.Module
    signature: Signature
    batch: Batch | None = None
    plans: frozenset[Passes] = frozenset()
    deepest: int = 0
    _jacobians: dict[tuple[float, Of], Jacobian] = field(default_factory=dict, init=False)
    _states: dict[int, dict[int, list[Tensor]]] = field(default_factory=dict, init=False)

    @cached_property
    def params(self) -> int:
        return count_params(self.network)

    @cached_property
    def flops(self) -> int:
        return count_flops(self.network, self.signature)

    @cached_property
    def depth(self) -> int:
        """Weighted layers on the longest path from input to output."""
        return depth(self.network, self.signature)

    @cached_property
    def flow(self) -> list[tuple[Tensor, Tensor]]:
        """Absolute weights, and the gradients of the summed output for an input of ones."""
        return synaptic_flow(self.network, self.signature)

    @cached_property
    def zen(self) -> tuple[float, float]:
        return zen_terms(self.network, self.signature)

    @cached_property
    def inputs(self) -> Tensor:
        if self.batch is None:
            raise DoesNotApply("it needs data, and this task has none")
        return self.batch.inputs.to(device_of(self.network), copy=True)

    @cached_property
    def labels(self) -> Tensor:
        if self.batch is None or self.batch.labels is None:
            raise DoesNotApply("it needs labelled data, and this task has none")
        return self.batch.labels.to(device_of(self.network))

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.network, self.inputs)

    @property
    def record(self) -> Record:
        return self.graph.record

    def hidden(self, layer: int) -> Tensor:
        """Returns the output states that enter each step of a recurrent layer: [T, B, H].

        Raises:
            DoesNotApply: if the network has no such recurrent layer.
        """
        wants_graph = not self.plans.isdisjoint({"graph", "curvature"})
        if wants_graph or "graph" in self.__dict__:
            return hidden_of(self.record.hidden, layer).detach()
        deepest = max(layer, self.deepest)
        if deepest not in self._states:
            twin = create_twin(self.network)
            self._states[deepest] = record_states(twin, self.inputs, deepest)
        return hidden_of(self._states[deepest], layer)

    @cached_property
    def loss(self) -> Slopes:
        """Gradients of the mean cross-entropy of the batch, at the initial weights."""
        return self._loss(curved="curvature" in self.plans)

    @property
    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of convolutions and linear layers, and the gradients of the loss."""
        return self._paired(self.loss)

    @cached_property
    def curvature(self) -> list[tuple[Tensor, Tensor]]:
        """Weights, and the loss's Hessian times its gradient."""
        slopes = self.loss if "curvature" in self.plans else self._loss(curved=True)
        norm = sum(((slope * slope.detach()).sum() for slope in slopes.weights), torch.zeros(()))
        weights = self._weights()
        return list(zip(weights, gradients_of(norm, weights), strict=True))

    def jacobian(self, of: Of, noise: float = 0.0) -> Jacobian:
        """Returns the gradients with respect to the entry after noise is added to it.

        Args:
            of: what is summed and differentiated.
            noise: one of `example_gradients.SCALES`, or 0, which leaves the entry as it is.
        """
        if (noise, of) not in self._jacobians:
            kinds: list[Of] = ["outputs", "targets"]
            kinds = [kind for kind in kinds if kind == of or kind in self.plans]
            if noise:
                found = noised_jacobians(self._second_twin, self.inputs, noise, kinds)
            elif of == "targets" and self.record.representation is not None:
                found = {0.0: {of: Jacobian(entry=self.ones.entry[0])}}  # a pass that others share
            else:
                found = {0.0: jacobians(self.record, [of])[0]}
            for scale, row in found.items():
                self._jacobians.update({(scale, kind): each for kind, each in row.items()})
        return self._jacobians[noise, of]

    @cached_property
    def ones(self) -> Slopes:
        """Gradients of the summed representation (where there is none, output)."""
        return self.graph.slopes(self.record.target.sum())

    @cached_property
    def kernel(self) -> Tensor:
        """The tangent kernel of the first examples [n, n] in float64."""
        return tangent_kernel(self.graph, self.inputs)

    @cached_property
    def _second_twin(self) -> nn.Module:
        """A twin for noised passes, which would spoil the batch statistics of the first."""
        return create_twin(self.network)

    def _weights(self) -> list[Tensor]:
        return [weight_of(layer) for layer in self.graph.layers]

    def _paired(self, slopes: Slopes) -> list[tuple[Tensor, Tensor]]:
        weights = [weight.detach() for weight in self._weights()]
        return [(w, g.detach()) for w, g in zip(weights, slopes.weights, strict=True)]

    def _loss(self, *, curved: bool) -> Slopes:
        loss = batch_loss(self.record.output, self.labels)
        return self.graph.slopes(loss, curved=curved)
