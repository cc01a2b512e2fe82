"""Rank correlations of a score with a loss, with bootstrap intervals over architectures.

A score that is not finite ranks below all others, as in a search; none is left out.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import kendalltau, spearmanr

from vitruvius.evals.statistics import LEVEL, Interval
from vitruvius.spaces.space import FloatArray

DRAWS = 1000


def tau(scores: FloatArray, loss: FloatArray) -> float:
    """Returns Kendall's tau-b; NaN where one of both never changes.

    Example:
        >>> tau(np.array([np.nan, 1.0, 2.0]), np.array([9.0, 5.0, 4.0]))
        -1.0
    """
    if len(loss) < 2:
        return math.nan
    return float(kendalltau(ranked(scores), loss).statistic)


def partial_tau(scores: FloatArray, loss: FloatArray, given: FloatArray) -> float:
    """Returns Kendall's partial tau of scores and loss, with what `given` tells taken away.

    Kendall 1942, "Partial rank correlation". NaN where one of the three never changes, or `given`
    orders the scores or the loss alone.
    """
    direct, first, second = tau(scores, loss), tau(scores, given), tau(loss, given)
    left = (1 - first**2) * (1 - second**2)
    return (direct - first * second) / math.sqrt(left) if left > 1e-12 else math.nan


def with_interval(
    scores: FloatArray,
    loss: FloatArray,
    *,
    given: FloatArray | None = None,
    draws: int = DRAWS,
) -> Interval:
    """Returns tau, or the partial tau where something is given, and its percentile interval."""

    def figure(rows: np.ndarray | slice) -> float:
        if given is None:
            return tau(scores[rows], loss[rows])
        return partial_tau(scores[rows], loss[rows], given[rows])

    return _interval(figure(slice(None)), [figure(rows) for rows in _resamples(len(loss), draws)])


def difference(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    *,
    draws: int = DRAWS,
) -> Interval:
    """Returns tau of the first scores and loss minus that of the second, of equal architectures."""

    def figure(rows: np.ndarray | slice) -> float:
        return tau(first[0][rows], first[1][rows]) - tau(second[0][rows], second[1][rows])

    drawn = [figure(rows) for rows in _resamples(len(first[1]), draws)]
    return _interval(figure(slice(None)), drawn)


def spearman(first: FloatArray, second: FloatArray) -> float:
    """Returns Spearman's correlation over what is finite in both; NaN for fewer than three."""
    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 3:
        return math.nan
    return float(spearmanr(first[both], second[both]).statistic)


def ranked(scores: FloatArray) -> FloatArray:
    """Returns the scores, minus infinity where they are not finite."""
    return np.where(np.isfinite(scores), scores, -np.inf)


def words(found: Interval) -> str:
    """Returns an interval for a table.

    Example:
        >>> words(Interval(value=-0.37, low=-0.401, high=-0.335))
        '-0.370 [-0.401, -0.335]'
    """
    if math.isnan(found.value):
        return "-"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _interval(value: float, drawn: list[float]) -> Interval:
    kept = [each for each in drawn if not math.isnan(each)]
    if math.isnan(value) or not kept:
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=value, low=float(low), high=float(high))


def _resamples(count: int, draws: int) -> np.ndarray:
    return np.random.default_rng(0).integers(count, size=(draws, count))
