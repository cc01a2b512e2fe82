"""Shares of variance: what one factor explains alone, what two explain together only, and in all.

The indices are those of Sobol' 1993, for factors that may depend on each other in the form of
Kucherenko et al. 2012 (Computer Physics Communications 183, eq. 6 and 7): conditional variances
under the distribution that the architectures are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvius.memory.audit.factors import COVERED, Codes, spread_within
from vitruvius.spaces.space import FloatArray


def main_share(values: FloatArray, codes: Codes) -> FloatArray:
    """Returns the share of the variance of each row of values [B, N] between equal codes [B].

    Less what as many groups explain by chance: epsilon squared (Kelley 1935). At least 0.

    Example:
        >>> main_share(np.array([[1.0, 1.0, 3.0, 3.0]]), np.array([0, 0, 1, 1])).round(2).tolist()
        [1.0]
    """
    n, k = values.shape[1], len(np.unique(codes))
    total = values.var(axis=1)
    if k < 2 or n <= k:
        return np.zeros(len(values))
    places = np.unique(codes, return_inverse=True)[1]
    count = np.bincount(places)
    sums = np.array([np.bincount(places, weights=row) for row in values])
    centre = values.mean(axis=1, keepdims=True)
    between = (((sums / count - centre) ** 2) @ count) / n
    left = np.maximum(total - between, 0) * n / (n - k)
    share = 1 - left / np.maximum(total * n / (n - 1), 1e-12)
    return np.where(total > 1e-12, np.clip(share, 0, 1), 0.0)


def pair_share(values: FloatArray, one: Codes, other: Codes) -> FloatArray:
    """Returns what two factors explain together beyond what each explains alone [B]; may be < 0.

    Example:
        >>> xor = np.array([[0.0, 1.0, 1.0, 0.0] * 2])
        >>> a, b = np.array([0, 0, 1, 1] * 2), np.array([0, 1, 0, 1] * 2)
        >>> float(pair_share(xor, a, b).round(2)[0])
        1.0
    """
    together = one * (int(other.max(initial=0)) + 1) + other
    return main_share(values, together) - main_share(values, one) - main_share(values, other)


def total_share(values: FloatArray, others: Codes) -> FloatArray | None:
    """Returns the share that is left when all other factors are held fixed [B].

    Args:
        values: [B, N].
        others: equal where all other factors are [N].

    Returns:
        None where too few rows agree in the others, so that nothing can be held fixed.
    """
    within, covered = spread_within(values, others)
    if covered < COVERED:
        return None
    return np.asarray(np.minimum(within / np.maximum(values.var(axis=1), 1e-12), 1.0))


def redrawn_share(before: FloatArray, after: FloatArray) -> FloatArray:
    """Returns the total share of a factor that alone was drawn anew [B].

    Half the mean squared change (Jansen 1999).

    Args:
        before: values [B, N].
        after: values of the same architectures with the factor drawn anew [B, N].
    """
    changed = ((after - before) ** 2).mean(axis=1) / 2
    return np.asarray(np.minimum(changed / np.maximum(before.var(axis=1), 1e-12), 1.0))


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
