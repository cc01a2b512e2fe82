"""The search beside random search, from the run's own uniform draws and its control arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from vitruvius.memory.records import Origin, Trial
from vitruvius.tasks.task import Metric
from vitruvius.tools.report.facts import Band, Curve, Point
from vitruvius.tools.report.statistics import random_band, share_bound

AGENT = (Origin.EXPLORE, Origin.ARCHITECT, Origin.REPEAT)
UNIFORM = (Origin.EXPLORE, Origin.CONTROL)


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
