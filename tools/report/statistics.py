"""Numbers of a report: means with intervals, the noise between seeds, the curve of the search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from vitruvius.memory.records import Origin, Trial
from vitruvius.spaces.space import Architecture
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import Band, Curve, Estimate, Noise, Point

TAIL = 0.025  # on either side of a 95 % interval

AGENT = (Origin.EXPLORE, Origin.ARCHITECT, Origin.REPEAT)
UNIFORM = (Origin.EXPLORE, Origin.CONTROL)


def estimates(groups: Sequence[Mapping[int, float]]) -> list[Estimate | None]:
    """Returns the mean of each group of values by trial number, with Student's 95 % interval.

    The deviation is pooled over the groups: finalists are alike, and three seeds alone would give
    an interval of four deviations. No interval where no group has two values, None for an empty
    group.
    """
    samples = [np.array([group[number] for number in sorted(group)]) for group in groups]
    freedom = sum(max(0, len(sample) - 1) for sample in samples)
    squares = sum(float(((s - s.mean()) ** 2).sum()) for s in samples if len(s))
    made: list[Estimate | None] = []
    for group, sample in zip(groups, samples, strict=True):
        if not len(sample):
            made.append(None)
            continue
        mean, low, high = float(sample.mean()), None, None
        if freedom:
            half = t_quantile(1 - TAIL, freedom) * math.sqrt(squares / freedom / len(sample))
            low, high = mean - half, mean + half
        made.append(Estimate(mean=mean, low=low, high=high, trials=tuple(sorted(group))))
    return made


def t_quantile(level: float, freedom: int) -> float:
    """Returns a quantile of Student's distribution."""
    return float(stats.t.ppf(level, freedom))


def noise_of(trials: Sequence[Trial]) -> Noise | None:
    """Returns the pooled deviation between seeds of architectures that were trained repeatedly."""
    groups: dict[tuple[Architecture, str], dict[int, tuple[int, float]]] = {}
    for trial in trials:
        if trial.value is not None:
            seeds = groups.setdefault((trial.architecture, trial.fidelity), {})
            seeds.setdefault(trial.seed, (trial.number, trial.value))
    squares, freedom = 0.0, 0
    numbers: list[int] = []
    for seeds in groups.values():
        if len(seeds) > 1:
            values = np.array([value for _, value in seeds.values()])
            squares += float(((values - values.mean()) ** 2).sum())
            freedom += len(values) - 1
            numbers += [number for number, _ in seeds.values()]
    if freedom == 0:
        return None
    return Noise(
        deviation=math.sqrt(squares / freedom), freedom=freedom, trials=tuple(sorted(numbers))
    )


def random_band(scores: Mapping[int, float], n: int) -> Band | None:
    """Returns the median best of `n` uniform draws with an exact 95 % interval.

    The median best of n draws is the quantile 0.5 ** (1 / n) of a single draw, so the draws of the
    run bound it by their order statistics whatever their distribution (David and Nagaraja 2003,
    Order Statistics, section 7.1). The estimate is the median-unbiased one (Hyndman and Fan 1996,
    definition 8). A side that so few draws cannot bound is None. (A bootstrap of the expected best
    was tried: on NB201 its upper end lay below the truth in 20 % of runs at n = half the draws.)

    Args:
        scores: score by trial number, growing with quality; -inf for a failed draw.
        n: number of draws, at least 1.
    """
    if not scores:
        return None
    ordered = sorted(scores.values())
    m, quantile = len(ordered), 0.5 ** (1 / n)
    below = stats.binom.cdf(np.arange(m + 1), m, quantile)  # P(at most i draws below it)
    low = int(np.searchsorted(below, TAIL, side="right")) - 1  # largest i with P <= TAIL
    high = int(np.searchsorted(below, 1 - TAIL, side="left")) + 1  # smallest i with P(>= i) <= TAIL
    return Band(
        median=_finite(_quantile(ordered, quantile)),
        low=_finite(ordered[low]) if low >= 0 else None,
        high=_finite(ordered[high - 1]) if high <= m else None,
        trials=tuple(sorted(scores)),
    )


def _quantile(ordered: Sequence[float], quantile: float) -> float | None:
    position = (len(ordered) + 1 / 3) * quantile + 1 / 3  # 1-based
    if not 1 <= position <= len(ordered):
        return None
    under = math.floor(position)
    share = position - under
    if share == 0:
        return ordered[under - 1]
    return (1 - share) * ordered[under - 1] + share * ordered[under]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def share_bound(hits: int, draws: int) -> float | None:
    """Returns the exact one-sided upper 95 % bound of a share (Clopper and Pearson 1934)."""
    if draws == 0:
        return None
    return 1.0 if hits == draws else float(stats.beta.ppf(0.95, hits + 1, draws - hits))


def curve_of(trials: Sequence[Trial], metric: Metric) -> Curve:
    """Returns the best value after 1, 2, 4, ... trials of each arm.

    A failed trial costs a trial and brings nothing; a failed uniform draw ranks below all others.
    """
    points, sign = points_of(trials, metric), metric.sign
    scores = _uniform(trials, sign)
    agent = points[-1].agent if points else None
    best = sign * agent[0] if agent else math.inf
    reach = tuple(number for number, score in sorted(scores.items()) if score >= best)
    return Curve(
        points=points,
        rises=_rises([t for t in trials if t.origin in AGENT], sign),
        control_rises=_rises([t for t in trials if t.origin == Origin.CONTROL], sign),
        uniform=tuple(sorted(scores)),
        reach=reach,
        share_high=share_bound(len(reach), len(scores)),
    )


def points_of(
    trials: Sequence[Trial], metric: Metric, at: Iterable[int] | None = None
) -> list[Point]:
    """Returns the best values after as many trials of each arm as `at` names, in order.

    Args:
        trials: of the run.
        metric: gives the direction.
        at: counts of trials from 1; those beyond the search's own are left out. None: 1, 2, 4, ...
    """
    sign = metric.sign
    agent = list(_best_so_far([t for t in trials if t.origin in AGENT], sign))
    control = list(_best_so_far([t for t in trials if t.origin == Origin.CONTROL], sign))
    scores = _uniform(trials, sign)
    return [
        Point(n=n, agent=agent[n - 1], random=_in_unit(random_band(scores, n), sign),
              control=control[n - 1] if n <= len(control) else None)
        for n in (_steps(len(agent)) if at is None else at)
        if n <= len(agent)
    ]  # fmt: skip


def _uniform(trials: Sequence[Trial], sign: float) -> dict[int, float]:
    return {
        trial.number: sign * trial.value if trial.value is not None else -math.inf
        for trial in trials
        if trial.origin in UNIFORM and not trial.status.is_open
    }


def _steps(length: int) -> Iterator[int]:
    n = 1
    while n < length:
        yield n
        n *= 2
    if length:
        yield length


def _best_so_far(trials: Sequence[Trial], sign: float) -> Iterator[tuple[float, int] | None]:
    best: tuple[float, int] | None = None
    for trial in trials:
        if trial.status.is_open:
            continue
        value = trial.value
        if value is not None and (best is None or sign * value > sign * best[0]):
            best = (value, trial.number)
        yield best


def _rises(trials: Sequence[Trial], sign: float) -> list[tuple[int, float, int]]:
    """Returns where an arm's best so far changed: after how many trials, the value, the trial."""
    best = list(_best_so_far(trials, sign))
    return [
        (n, now[0], now[1])
        for n, (before, now) in enumerate(zip([None, *best], best, strict=False), start=1)
        if now is not None and now != before
    ]


def _in_unit(band: Band | None, sign: float) -> Band | None:
    """Returns a band of scores in the metric's unit; for a metric to minimise the ends swap."""
    if band is None or sign > 0:
        return band

    def flipped(score: float | None) -> float | None:
        return None if score is None else -score

    return Band(
        median=flipped(band.median),
        low=flipped(band.high),
        high=flipped(band.low),
        trials=band.trials,
    )
