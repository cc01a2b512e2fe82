"""How well proxies rank a run's own trials, alone and beside parameter count and depth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from vitruvius.memory.model.ranking import learn
from vitruvius.memory.records import Calibration, Score, Trial
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace
from vitruvius.tasks.task import Metric

MIN_PAIRS = 4  # below, an interval says nothing
CONFIDENCE = 0.95
COUNTED = ("params", "flops", "depth")  # what needs no proxy: the baselines
GIVEN = ("params", "depth")  # what every proxy is held against

Values = Mapping[Architecture, float]


def calibrate(
    scores: Sequence[Score],
    trials: Sequence[Trial],
    metric: Metric,
    space: SearchSpace | None = None,
) -> list[Calibration]:
    """Returns the rank correlation of each proxy with the trials' results, by name.

    Parameters and FLOPs that the trials report are included as `params` and `flops`, and so is
    the space's feature `depth`: a proxy that does no better than these says nothing, so each is
    also correlated given parameters and depth. Results are those that train the model of the run,
    averaged by architecture; positive means that more of the proxy is better, whatever the
    metric's direction. Degenerate scores rank last; a proxy that has no others is left out.

    Args:
        scores: of proxies; a degenerate one ranks below all others, for dropping broken networks
            flatters a proxy. Those that were not measured or have no trial are left out.
        trials: of the run.
        metric: gives the direction.
        space: whose feature `depth` is held against proxies, if it has one.
    """
    lesson = learn(trials, metric)
    results: dict[Architecture, list[float]] = defaultdict(list)
    proxies: dict[str, dict[Architecture, float]] = defaultdict(dict)
    for trial, result in zip(lesson.trials, lesson.scores.tolist(), strict=True):
        results[trial.architecture].append(result)
        for name, size in (("params", trial.params), ("flops", trial.flops)):
            if size is not None:
                proxies[name][trial.architecture] = float(size)
    if space is not None:
        proxies |= _depths(space, list(results))
    for score in scores:
        if score.rank_value is not None and score.architecture in results:
            proxies[score.proxy][score.architecture] = score.rank_value
    given = {name: proxies[name] for name in GIVEN if name in proxies}
    found = []
    for name in sorted(proxies):
        both = [a for a in results if a in proxies[name]]
        if any(math.isfinite(proxies[name][a]) for a in both):
            result = {a: float(np.mean(results[a])) for a in both}
            alone = _alone(name, _ranks(proxies[name], both), _ranks(result, both))
            counted = name in COUNTED
            found.append(alone if counted else _beside(alone, proxies[name], result, given))
    return found


def _depths(space: SearchSpace, tried: list[Architecture]) -> dict[str, dict[Architecture, float]]:
    columns = [i for i, feature in enumerate(space.features) if feature.name == "depth"]
    if not columns or not tried:
        return {}
    values = space.featurise(tried)[:, columns[0]].tolist()
    return {"depth": dict(zip(tried, values, strict=True))}


def _ranks(values: Values, which: Sequence[Architecture]) -> FloatArray:
    """Returns ranks less their mean."""
    ranks = rankdata([values[architecture] for architecture in which])
    return np.asarray(ranks - ranks.mean())


def _alone(name: str, first: FloatArray, second: FloatArray) -> Calibration:
    rank, low, high = _correlation(first, second, 0)
    return Calibration(proxy=name, n=len(first), spearman=rank, low=low, high=high)


def _beside(
    alone: Calibration, proxy: Values, result: Values, given: Mapping[str, Values]
) -> Calibration:
    """Returns the calibration with the correlation given what is counted, where that is known."""
    told = {name: values for name, values in given.items() if all(a in values for a in result)}
    if not told:
        return alone
    which = list(result)
    counted = np.stack([_ranks(values, which) for values in told.values()], axis=1)
    proxy_left, result_left = (
        ranks - counted @ np.linalg.lstsq(counted, ranks, rcond=None)[0]
        for ranks in (_ranks(proxy, which), _ranks(result, which))
    )
    partial, low, high = _correlation(proxy_left, result_left, len(told))
    return replace(alone, given=tuple(told), partial=partial, partial_low=low, partial_high=high)


def _correlation(a: FloatArray, b: FloatArray, given: int) -> tuple[float, float, float]:
    """Returns the correlation of ranks with Fisher's interval (Bonett & Wright 2000, eq. 4).

    Each of the `given` variables that both were freed from costs a degree of freedom.
    """
    n = len(a)
    lengths = (a @ a) * (b @ b)
    scale = float(np.sqrt(lengths)) if lengths > 1e-9 * n**4 else 0.0
    rank = float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else 0.0
    if n - given < MIN_PAIRS or scale == 0:
        return rank, -1.0, 1.0
    width = math.sqrt((1 + rank**2 / 2) / (n - given - 3))
    half = float(ndtri((1 + CONFIDENCE) / 2)) * width
    middle = math.atanh(float(np.clip(rank, -0.999999, 0.999999)))
    return rank, math.tanh(middle - half), math.tanh(middle + half)
