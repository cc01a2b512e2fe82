"""Layers for sequences (B, C, L) and images (B, C, H, W) alike."""

from __future__ import annotations

import torch
from torch import nn

from vitruvius.errors import ConfigError

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
