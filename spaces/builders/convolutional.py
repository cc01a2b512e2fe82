"""Networks of convolutions, of cells and of blocks.

For sequences (B, C, L) and images (B, C, H, W) alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import reduce

import torch
from torch import nn

from vitruvius.errors import ConfigError

GROUPS = 4  # of group normalisation; divides every width

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


_CONV: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
_BATCH_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
_AVERAGE_POOL: dict[int, type[nn.Module]] = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
_MAX_POOL: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}


def dimensions(input_shape: tuple[int, ...], halvings: int) -> int:
    """Returns 1 for a sequence (C, L), 2 for an image (C, H, W).

    Raises:
        ConfigError: for another shape, or one that cannot be halved so often.
    """
    if len(input_shape) not in (2, 3):
        raise ConfigError(
            "expected inputs of shape (channels, length) or (channels, height, width),"
            f" got {input_shape}"
        )
    if min(input_shape[1:]) < 2**halvings:
        raise ConfigError(
            f"inputs of shape {input_shape} cannot be halved {halvings} times; use fewer stages"
        )
    return len(input_shape) - 1


def conv(dims: int, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> nn.Module:
    """Returns a convolution without bias that keeps the size, up to its stride. Odd kernels."""
    return _CONV[dims](inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


def batch_norm(dims: int, channels: int) -> nn.Module:
    """Returns batch normalisation with a learned scale and bias for each channel."""
    return _BATCH_NORM[dims](channels)


def smooth(dims: int) -> nn.Module:
    """Returns average pooling over 3 positions that keeps the size and ignores the border."""
    return _AVERAGE_POOL[dims](3, stride=1, padding=1, count_include_pad=False)


def halve(dims: int, kind: str = "average") -> nn.Module:
    """Returns pooling (`average` or `max`) that halves the size, rounding up."""
    pools = _AVERAGE_POOL if kind == "average" else _MAX_POOL
    return pools[dims](2, stride=2, ceil_mode=True)


class GlobalMean(nn.Module):
    """Averages every channel: [B, C, ...] to [B, C]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(dim=2)


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


class TransNasNetwork(nn.Sequential):
    """Stem, modules of cells, classifier.

    With 64 channels, modules 41414 of two cells and a strided stem this is the published backbone
    with a linear layer on its average (yawen-d/TransNASBench, `MacroNet` and `FFDecoder`), of which
    edges without operation hold no parameters.
    """

    def __init__(
        self,
        spec: Mapping[str, str],
        input_shape: tuple[int, ...],
        outputs: int,
        *,
        channels: int,
        modules: str,
        cells: int,
        stem: str,
    ) -> None:
        halvings = sum(module in "34" for module in modules) + 2 * (stem == "strided")
        dims = dimensions(input_shape, halvings)
        make = _strided_stem if stem == "strided" else _point_stem
        parts: OrderedDict[str, nn.Module] = OrderedDict(stem=make(dims, input_shape[0], channels))
        width = channels
        for place, module in enumerate(modules):
            wide = 2 * width if module in "24" else width
            for cell in range(cells):
                parts[f"cell_{place}_{cell}"] = CellModule(
                    dims,
                    wide if cell else width,
                    spec,
                    outputs=wide,
                    stride=2 if module in "34" and not cell else 1,
                )
            width = wide
        parts["mean"] = GlobalMean()
        parts["classifier"] = nn.Linear(width, outputs)
        super().__init__(parts)


def _point_stem(dims: int, inputs: int, channels: int) -> nn.Module:
    return nn.Sequential(conv(dims, inputs, channels, 1), batch_norm(dims, channels))


def _strided_stem(dims: int, inputs: int, channels: int) -> nn.Module:
    half = channels // 2
    return nn.Sequential(
        conv(dims, inputs, half, 3, stride=2),
        batch_norm(dims, half),
        relu_conv_norm(dims, half, channels, 3, stride=2),
    )


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
