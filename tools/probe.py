"""Passes through a network that training-free scores share; the network is left as it was."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitruvius.errors import VitruviusError
from vitruvius.spaces.space import Signature
from vitruvius.tools.flops import count_flops, count_params, device_of, unmoved_generator

RECTIFIERS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
)
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMALISED = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
)


class DoesNotApply(VitruviusError):
    """Why a score is not defined for this network, in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Examples for a score: inputs [B, *input_shape] float32, labels [B] int64."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A network, perhaps a batch, and the passes over them, each made once and on a copy.

    Random draws inside (dropout) come from a generator of fixed seed, so the same network and batch
    give the same numbers. `batch` is None where a task has no data (a table).
    """

    network: nn.Module
    signature: Signature
    batch: Batch | None = None

    @cached_property
    def params(self) -> int:
        return count_params(self.network)

    @cached_property
    def flops(self) -> int:
        return count_flops(self.network, self.signature)

    @cached_property
    def codes(self) -> Tensor:
        """Which rectifiers are on for which example: float64 zeros and ones [B, units].

        A unit is on where its input is above 0. Training mode: at initialisation the running
        statistics of a normalisation say nothing.
        """
        twin, batch = self._twin(), self._batch()
        seen: list[Tensor] = []

        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen.append((inputs[0].detach() > 0).flatten(1))

        for module in twin.modules():
            if isinstance(module, RECTIFIERS):
                module.register_forward_pre_hook(keep)
        with unmoved_generator(), torch.no_grad():
            twin(batch.inputs)
        if not seen:
            raise DoesNotApply("it needs rectifying activations (ReLU and its kin)")
        return torch.cat(seen, dim=1).double()  # [B, units]

    @cached_property
    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Weights of convolutions and linear layers, and the gradients of the mean cross-entropy.

        Training mode, initial weights. A weight that the loss does not reach has gradient 0.
        """
        twin, batch = self._twin(), self._batch()
        weights = _weights(twin)
        with unmoved_generator(), torch.enable_grad():
            loss = functional.cross_entropy(twin(batch.inputs), batch.labels)
            return _with_gradients(loss, weights)

    @cached_property
    def flow(self) -> list[tuple[Tensor, Tensor]]:
        """Absolute weights, and the gradients of the summed output for an input of ones.

        Tanaka et al. 2020, arXiv:2006.05467, alg. 1, in float64, normalisations left out as in
        Abdelfattah et al. 2021, arXiv:2101.08134.
        """
        twin = _without_normalisation(self._twin()).double().eval()
        with torch.no_grad():
            for parameter in twin.parameters():
                parameter.abs_()
        weights = _weights(twin)
        ones = torch.ones(
            (1, *self.signature.input_shape), dtype=torch.float64, device=device_of(twin)
        )
        with unmoved_generator(), torch.enable_grad():
            return _with_gradients(twin(ones).sum(), weights)

    def _twin(self) -> nn.Module:
        """Returns a copy that may be spoilt, in training mode, every weight with gradients."""
        twin = copy.deepcopy(self.network).train()
        return twin.requires_grad_(True)

    def _batch(self) -> Batch:
        if self.batch is None:
            raise DoesNotApply("it needs data, and this task has none")
        device = device_of(self.network)
        return Batch(
            inputs=self.batch.inputs.to(device, copy=True), labels=self.batch.labels.to(device)
        )


def _weights(network: nn.Module) -> list[Tensor]:
    weights = [module.weight for module in network.modules() if isinstance(module, WEIGHTED)]
    if not weights:
        raise DoesNotApply("it needs convolutions or linear layers")
    return list(weights)


def _with_gradients(total: Tensor, weights: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    if not total.requires_grad:
        return [(weight.detach(), torch.zeros_like(weight)) for weight in weights]
    found = torch.autograd.grad(total, weights, allow_unused=True, materialize_grads=True)
    return [(w.detach(), g.detach()) for w, g in zip(weights, found, strict=True)]


def _without_normalisation(network: nn.Module) -> nn.Module:
    if isinstance(network, NORMALISED):
        return nn.Identity()
    for name, child in network.named_children():
        setattr(network, name, _without_normalisation(child))
    return network
