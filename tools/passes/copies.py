"""Copies of a network that a score may spoil, and what scores look for in them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vitruvius.errors import VitruviusError

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS = nn.modules.batchnorm._BatchNorm
NORMALISED = (
    BATCH_NORMS,
    nn.modules.instancenorm._InstanceNorm,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)
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
ACTIVATIONS = (*RECTIFIERS, nn.Tanh, nn.Sigmoid)


class DoesNotApply(VitruviusError):
    """Why a score is not defined for this network, in one sentence."""


def create_twin(network: nn.Module) -> nn.Module:
    """Returns a copy on which scores are measured: weights with gradients, nothing random.

    Evaluation mode, so that dropout is off, but batch normalisation uses the statistics of the
    batch: at initialisation its running ones say nothing. After its first pass those running
    statistics are the batch's. Nothing writes in place, so what hooks have seen stays as it was.
    Images are laid out channels last, which halves the time of a pass on a CPU.
    """
    twin = copy.deepcopy(network).eval().requires_grad_(False)
    for module in twin.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()
            # cumulative: after one pass the running statistics are those of that pass
            module.momentum = None
            module.reset_running_stats()
        if getattr(module, "inplace", False) is True:
            module.inplace = False  # type: ignore[assignment]  # a flag, not a part
        if isinstance(module, (*WEIGHTED, nn.Embedding)):
            module.weight.requires_grad_(True)
    if any(isinstance(module, nn.Conv2d) for module in twin.modules()):
        twin = twin.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # annotated for 4-d tensors only
    return twin


def weighted_layers(network: nn.Module) -> list[nn.Module]:
    """Returns the convolutions and linear layers, one of those that share a weight.

    Raises:
        DoesNotApply: if there are none.
    """
    layers = {id(m.weight): m for m in network.modules() if isinstance(m, WEIGHTED)}
    if not layers:
        raise DoesNotApply("it needs convolutions or linear layers")
    return list(layers.values())


def weight_of(layer: nn.Module) -> Tensor:
    """Returns the weight of a convolution or linear layer."""
    assert isinstance(layer.weight, Tensor)
    return layer.weight


def without_normalisation(network: nn.Module) -> nn.Module:
    """Returns the network with every normalisation replaced in place by one that does nothing."""
    if isinstance(network, NORMALISED):
        return nn.Identity()
    for name, child in network.named_children():
        setattr(network, name, without_normalisation(child))
    return network
