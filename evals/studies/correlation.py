"""Rank correlations of a score with a loss, with bootstrap intervals over architectures.

A score that is not finite ranks below all others, as in a search; none is left out.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import kendalltau, rankdata, spearmanr

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


def with_interval(
    scores: FloatArray,
    loss: FloatArray,
    *,
    given: FloatArray | None = None,
    draws: int = DRAWS,
) -> Interval:
    """Returns tau, or the partial tau where something is given, and its percentile interval.

    The partial tau takes away what `given` tells (Kendall 1942, "Partial rank correlation"). A draw
    in which one of the three never changes, or `given` orders the scores or the loss alone, is NaN.
    """
    counts = _resamples(len(loss), draws)
    direct = _taus(scores, loss, counts)
    if given is None:
        return _interval(direct)
    first, second = _taus(scores, given, counts), _taus(loss, given, counts)
    left = (1 - first**2) * (1 - second**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (direct - first * second) / np.sqrt(left)
    return _interval(np.where(left > 1e-12, found, np.nan))


def difference(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    *,
    draws: int = DRAWS,
) -> Interval:
    """Returns tau of the first scores and loss minus that of the second, of equal architectures."""
    counts = _resamples(len(first[1]), draws)
    return _interval(_taus(*first, counts) - _taus(*second, counts))


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


def _taus(first: FloatArray, second: FloatArray, counts: FloatArray) -> FloatArray:
    """Returns tau-b for each row of `counts` [D, N]: how often each architecture is there."""
    signs = []
    for values in (first, second):
        ranks = rankdata(ranked(values))
        signs.append(np.sign(ranks[:, None] - ranks[None, :]))
    both, *alone = (
        ((counts @ products) * counts).sum(axis=1)
        for products in (signs[0] * signs[1], np.square(signs[0]), np.square(signs[1]))
    )
    pairs = np.sqrt(alone[0]) * np.sqrt(alone[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(both / pairs, -1.0, 1.0))


def _interval(found: FloatArray) -> Interval:
    """Returns the first figure with the interval of the others that exist."""
    drawn = found[1:][np.isfinite(found[1:])]
    if math.isnan(found[0]) or not len(drawn):
        return Interval(value=math.nan, low=math.nan, high=math.nan)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=float(found[0]), low=float(low), high=float(high))


def _resamples(count: int, draws: int) -> FloatArray:
    """Returns how often each of `count` is in all of them, and then in each resample [1 + D, N]."""
    rng = np.random.default_rng(0)
    rows = rng.integers(count, size=(draws, count))
    drawn = [np.bincount(row, minlength=count) for row in rows]
    return np.array([np.ones(count), *drawn], dtype=np.float64)
