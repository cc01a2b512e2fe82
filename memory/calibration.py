"""How well proxies rank a run's own trials, beside the parameter count."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from vitruvius.memory.ranking import learn
from vitruvius.memory.records import Calibration, Score, Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric

MIN_PAIRS = 4  # below, an interval says nothing
CONFIDENCE = 0.95


def calibrate(
    scores: Sequence[Score], trials: Sequence[Trial], metric: Metric
) -> list[Calibration]:
    """Returns the rank correlation of each proxy with the trials' results, by name.

    Parameters and FLOPs that the trials report are included as `params` and `flops`: a proxy
    that does no better than these says nothing. Results are those that train the model of the
    run, averaged by architecture; positive means that more of the proxy is better, whatever the
    metric's direction.

    Args:
        scores: of proxies; a degenerate one ranks below all others, for dropping broken networks
            flatters a proxy. Those that were not measured or have no trial are left out.
        trials: of the run.
        metric: gives the direction.
    """
    lesson = learn(trials, metric)
    results: dict[Architecture, list[float]] = defaultdict(list)
    proxies: dict[str, dict[Architecture, float]] = defaultdict(dict)
    for trial, result in zip(lesson.trials, lesson.scores.tolist(), strict=True):
        results[trial.architecture].append(result)
        for name, size in (("params", trial.params), ("flops", trial.flops)):
            if size is not None:
                proxies[name][trial.architecture] = float(size)
    for score in scores:
        if score.rank_value is not None:
            proxies[score.proxy][score.architecture] = score.rank_value
    found = []
    for name in sorted(proxies):
        both = [a for a in results if a in proxies[name]]
        if both:
            first = np.array([proxies[name][a] for a in both])
            second = np.array([np.mean(results[a]) for a in both])
            found.append(_calibration(name, first, second))
    return found


def _calibration(name: str, first: np.ndarray, second: np.ndarray) -> Calibration:
    """Returns Spearman's correlation with Fisher's interval (Bonett & Wright 2000, eq. 4)."""
    n = len(first)
    a, b = rankdata(first), rankdata(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    rank = float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else 0.0
    if n < MIN_PAIRS or scale == 0:
        return Calibration(proxy=name, n=n, spearman=rank, low=-1.0, high=1.0)
    half = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt((1 + rank**2 / 2) / (n - 3))
    middle = math.atanh(float(np.clip(rank, -0.999999, 0.999999)))
    return Calibration(
        proxy=name,
        n=n,
        spearman=rank,
        low=math.tanh(middle - half),
        high=math.tanh(middle + half),
    )
