"""Statistics of outcomes: bootstrap intervals, paired differences, simultaneous bounds.

All draws come from one seed, so a page made twice is the same page. Values are arrays over
seeds; `+inf` is allowed in none: a censored hit counts as one more than the cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, ttest_1samp

from vitruvius.spaces.space import FloatArray

DRAWS = 2000  # percentiles of 95 % rest on 50 draws at each end
SEED = 12345
LEVEL = 0.95
ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(values: FloatArray, statistic: str = "median") -> Interval:
    """Returns the median (or mean) of values [N] and its percentile bootstrap interval."""
    take = np.median if statistic == "median" else np.mean
    drawn = take(values[_resamples(len(values))], axis=1)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value=float(take(values)), low=float(low), high=float(high))


def ratio_of_means(values: FloatArray, control: FloatArray) -> Interval:
    """Returns mean / mean of two arms on the same seeds, with a paired bootstrap interval.

    The upper end of the interval is 95 % one-sided, the lower end too.
    """
    rows = _resamples(len(values))
    drawn = values[rows].mean(axis=1) / control[rows].mean(axis=1)
    low, high = np.quantile(drawn, [ALPHA, 1 - ALPHA])
    return Interval(value=float(values.mean() / control.mean()), low=float(low), high=float(high))


@dataclass(frozen=True, kw_only=True)
class Inferiority:
    """An arm beside one control: mean difference (above 0: worse) against a margin."""

    difference: float
    upper: float  # simultaneous over all controls (Bonferroni)
    p_value: float  # of `the arm is worse by the margin`, adjusted after Holm
    is_excluded: bool


def non_inferiority(differences: Mapping[str, FloatArray], margin: float) -> dict[str, Inferiority]:
    """Returns, for each control, whether being worse by `margin` is excluded at 5 % in all.

    Args:
        differences: by control, arm minus control [seeds] on the same seeds; above 0 is worse.
        margin: what still counts as no worse.
    """
    raw = {name: _p_value(values - margin) for name, values in differences.items()}
    adjusted = holm(raw)
    level = norm.ppf(1 - ALPHA / max(len(differences), 1))
    return {
        name: Inferiority(
            difference=float(values.mean()),
            upper=float(values.mean() + level * values.std(ddof=1) / np.sqrt(len(values))),
            p_value=adjusted[name],
            is_excluded=adjusted[name] < ALPHA,
        )
        for name, values in differences.items()
    }


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Returns p-values adjusted by Holm's step-down method (Holm 1979)."""
    order = sorted(p_values, key=lambda name: p_values[name])
    adjusted, highest = {}, 0.0
    for place, name in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[name]))
        adjusted[name] = highest
    return adjusted


def _p_value(shifted: FloatArray) -> float:
    if np.ptp(shifted) == 0.0:  # a t-test needs spread; equal everywhere is plain
        return 0.0 if shifted[0] < 0 else 1.0
    return float(ttest_1samp(shifted, 0.0, alternative="less").pvalue)


def _resamples(count: int) -> np.ndarray:
    return np.random.default_rng(SEED).integers(count, size=(DRAWS, count))
