"""Networks of NAS-Bench-201 cells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import reduce

import torch
from torch import nn

from vitruvius.spaces.builders.layers import (
    GlobalMean,
    batch_norm,
    conv,
    dimensions,
    halve,
    smooth,
)


class CellNetwork(nn.Sequential):
    """Stem, stages of cells with reductions between, classifier.

    With `residual` and 5 cells of 16 channels this is the published network (Dong & Yang 2020,
    arXiv:2001.00326, sec. 2.2), of which edges without operation hold no parameters.
    """

    def __init__(
        self,
        spec: Mapping[str, str],
        input_shape: tuple[int, ...],
        outputs: int,
        *,
        channels: int,
        stages: int,
        cells: int,
        reduction: str,
    ) -> None:
        dims = dimensions(input_shape, stages - 1)
        kernel = 1 if reduction == "pool" else 3
        stem = nn.Sequential(
            conv(dims, input_shape[0], channels, kernel), batch_norm(dims, channels)
        )
        parts: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
        width = channels
        for stage in range(stages):
            if stage:
                make = _pool_reduction if reduction == "pool" else ResidualReduction
                parts[f"reduction_{stage}"] = make(dims, width)
                width *= 2
            for cell in range(cells):
                parts[f"cell_{stage}_{cell}"] = CellModule(dims, width, spec)
        parts["norm"] = batch_norm(dims, width)
        parts["relu"] = nn.ReLU()
        parts["mean"] = GlobalMean()
        parts["classifier"] = nn.Linear(width, outputs)
        super().__init__(parts)


class CellModule(nn.Module):
    """One cell: [B, C, ...] to [B, outputs, ... / stride]. Nodes sum their incoming edges.

    Edges from the input change the shape, where it changes; a skip there is a `Projection`.
    """

    def __init__(
        self,
        dims: int,
        channels: int,
        spec: Mapping[str, str],
        *,
        outputs: int | None = None,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.outputs, self.stride = outputs or channels, stride
        self.edges = nn.ModuleDict(
            {
                edge: _operation(name, dims, channels, self.outputs, stride)
                if edge.startswith("edge_0")
                else _operation(name, dims, self.outputs, self.outputs, 1)
                for edge, name in spec.items()
                if name != "none"
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        nodes = [x]
        for j in (1, 2, 3):
            into = {f"edge_{i}_{j}": node for i, node in enumerate(nodes)}
            carried = [self.edges[edge](node) for edge, node in into.items() if edge in self.edges]
            nodes.append(reduce(torch.add, carried) if carried else self._zeros(x))
        return nodes[3]

    def _zeros(self, x: torch.Tensor) -> torch.Tensor:
        size = [-(-length // self.stride) for length in x.shape[2:]]
        return x.new_zeros((len(x), self.outputs, *size))


class Projection(nn.Module):
    """A skip that changes the shape: ReLU, two 1x1 convolutions shifted by one, batch norm.

    Each gives half the channels, the second from the input without its first row and column, so
    that with stride 2 both read other positions (`FactorizedReduce` in yawen-d/TransNASBench).
    """

    def __init__(self, dims: int, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.first = conv(dims, inputs, half, 1, stride=stride)
        self.second = conv(dims, inputs, outputs - half, 1, stride=stride)
        self.norm = batch_norm(dims, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(x)
        dims = x.dim() - 2
        shifted = nn.functional.pad(x, (-1, 1) * dims)
        result: torch.Tensor = self.norm(torch.cat([self.first(x), self.second(shifted)], dim=1))
        return result


class ResidualReduction(nn.Module):
    """The published residual block: [B, C, L] to [B, 2C, L/2], likewise for images."""

    def __init__(self, dims: int, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.first = relu_conv_norm(dims, channels, wide, 3, stride=2)
        self.second = relu_conv_norm(dims, wide, wide, 3)
        self.shortcut = nn.Sequential(halve(dims), conv(dims, channels, wide, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.add(self.shortcut(x), self.second(self.first(x)))


def _pool_reduction(dims: int, channels: int) -> nn.Module:
    return nn.Sequential(
        conv(dims, channels, 2 * channels, 1), batch_norm(dims, 2 * channels), halve(dims)
    )


def relu_conv_norm(
    dims: int, inputs: int, outputs: int, kernel: int, *, stride: int = 1
) -> nn.Module:
    """Returns ReLU, convolution and batch norm, the benchmarks' unit."""
    return nn.Sequential(
        nn.ReLU(), conv(dims, inputs, outputs, kernel, stride=stride), batch_norm(dims, outputs)
    )


def _operation(name: str, dims: int, inputs: int, outputs: int, stride: int) -> nn.Module:
    if name == "skip_connect":
        keeps = stride == 1 and inputs == outputs
        return nn.Identity() if keeps else Projection(dims, inputs, outputs, stride)
    if name == "avg_pool_3x3":
        return smooth(dims)
    kernel = 3 if name == "nor_conv_3x3" else 1
    return relu_conv_norm(dims, inputs, outputs, kernel, stride=stride)
