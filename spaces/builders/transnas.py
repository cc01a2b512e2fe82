"""Networks of TransNAS-Bench-101 cells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from torch import nn

from vitruvius.spaces.builders.cell import CellModule, relu_conv_norm
from vitruvius.spaces.builders.layers import GlobalMean, batch_norm, conv, dimensions


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
