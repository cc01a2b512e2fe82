"""How well proxies rank a run's own trials, alone and beside parameter count and depth."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from vitruvius.memory.model.proxy_scores import Board, with_proxies
from vitruvius.memory.model.ranking import Lesson, learn
from vitruvius.memory.records import Calibration, Score, Trial
from vitruvius.memory.transfer.source_hints import Source
from vitruvius.memory.transfer.weighing import fit_hinted, source_prior
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


# A proxy of correlation 0.4 is told from none by 40 trials two times in three, by 20 one in three.
MIN_JUDGED = 40


class Verdict(StrEnum):
    """What is known of a proxy."""

    COUNTED = "a baseline"
    OPEN = "not known yet"
    PREDICTS = "says more than counting"
    DEMOTED = "demoted: no better than counting"


def verdict(one: Calibration) -> Verdict:
    """Returns whether a proxy beats parameter count and depth on the run's own trials.

    It does if the interval of its correlation given these leaves out 0; it is demoted if the
    interval does not and rests on at least `MIN_JUDGED` trials. Where neither is known, it is held
    against nothing, and its plain correlation counts.

    Example:
        >>> row = Calibration(proxy="snip", n=50, spearman=0.1, low=-0.2, high=0.4)
        >>> verdict(row).name
        'DEMOTED'
    """
    if one.proxy in COUNTED:
        return Verdict.COUNTED
    low, high = one.partial_low, one.partial_high
    if low is None or high is None:
        low, high = one.low, one.high
    if low > 0 or high < 0:
        return Verdict.PREDICTS
    return Verdict.DEMOTED if one.n >= MIN_JUDGED else Verdict.OPEN


def demoted(calibrations: Sequence[Calibration]) -> frozenset[str]:
    """Returns the names of the proxies that are not worth asking again."""
    return frozenset(c.proxy for c in calibrations if verdict(c) == Verdict.DEMOTED)


def proxy_weights(
    space: SearchSpace, board: Board, sources: Sequence[Source], lesson: Lesson
) -> dict[str, float]:
    """Returns the weight of each proxy in the model of the run, after its trials.

    In standard deviations of the scores for one of the proxy, all other proxies and the features
    held fixed: of two proxies that say the same, each has half of what one alone would have.
    """
    told = source_prior(space, sources)
    prior = with_proxies(told, board, tuple(sources), len(space.features))
    tried = [trial.architecture for trial in lesson.trials]
    features = board.beside(space.featurise(tried), tried)
    silent = with_proxies(None, board, (), len(space.features))
    weights = fit_hinted(space, lesson, prior, silent, features).weights()
    return dict(zip(board.proxies, weights[-len(board.proxies) :].tolist(), strict=True))


def with_weights(
    calibrations: Sequence[Calibration], weights: dict[str, float]
) -> list[Calibration]:
    """Returns the calibrations with each proxy's weight in the model."""
    return [replace(one, weight=weights.get(one.proxy)) for one in calibrations]
