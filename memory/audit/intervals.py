"""Shares with the interval that resamples of the labelled architectures give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvius.spaces.space import FloatArray

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of variance with its 95 % bootstrap interval over the labelled architectures."""

    value: float
    low: float
    high: float


def share_of(values: FloatArray) -> Share:
    """Returns the share by the model of all labels, with the quantiles of those of resamples.

    Args:
        values: [1 + B], that of all labels first.

    Example:
        >>> share_of(np.array([0.5, 0.4, 0.6]))
        Share(value=0.5, low=0.405, high=0.595)
    """
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values[1:], [tail, 1 - tail])
    value = float(values[0])
    return Share(
        value=value, low=min(value, float(low.round(9))), high=max(value, float(high.round(9)))
    )
