"""Networks of the macro space."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import nn

from vitruvius.spaces.builders.layers import GlobalMean, batch_norm, conv, dimensions, halve

GROUPS = 4  # of group normalisation; divides every width

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class MacroNetwork(nn.Sequential):
    """Blocks, pooling after the first `halvings` that are not the last, classifier."""

    def __init__(
        self, spec: Mapping[str, str], input_shape: tuple[int, ...], outputs: int, *, halvings: int
    ) -> None:
        depth, width = int(spec["depth"]), int(spec["width"])
        dims = dimensions(input_shape, min(halvings, depth - 1))
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for block in range(depth):
            inputs = width if block else input_shape[0]
            layers = _block(dims, inputs, width, spec)
            adds = block > 0 and spec["skip"] == "on"
            parts[f"block_{block}"] = Added(layers) if adds else layers
            if block < min(halvings, depth - 1):
                parts[f"pool_{block}"] = halve(dims, spec["pooling"])
        parts["mean"] = GlobalMean()
        parts["classifier"] = nn.Linear(width, outputs)
        super().__init__(parts)


class Added(nn.Module):
    """Adds a layer's input to its output."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(x, self.layer(x))


def _block(dims: int, inputs: int, width: int, spec: Mapping[str, str]) -> nn.Sequential:
    layers: list[nn.Module] = [conv(dims, inputs, width, int(spec["kernel"]))]
    if spec["normalisation"] == "batch":
        layers.append(batch_norm(dims, width))
    elif spec["normalisation"] == "group":
        layers.append(nn.GroupNorm(GROUPS, width))
    layers.append(_ACTIVATIONS[spec["activation"]]())
    return nn.Sequential(*layers)
