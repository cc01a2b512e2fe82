"""Which trials teach the model of a run, on which scale, and the noise between their seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from vitruvius.memory.records import Origin, ResultStatus, Trial
from vitruvius.spaces.space import FloatArray
from vitruvius.tasks.task import Metric

MAX_TRIALS = 300
N_BEST, N_RECENT = 120, 60  # of MAX_TRIALS; the rest is drawn at random
STOPPED = (ResultStatus.STOPPED_EARLY,)
WORST = (ResultStatus.DIVERGED, ResultStatus.OUT_OF_MEMORY, ResultStatus.TIMEOUT)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Trials that teach, in order of number, and their scores [N]: more is better."""

    trials: tuple[Trial, ...]
    scores: FloatArray


def quality(trial: Trial, metric: Metric) -> float | None:
    """Returns the trial's direction-corrected value, -inf if it ranks worst, None if neither.

    Diverged, out of memory and timed out rank worst; `learn` puts what was stopped early just above
    them. A plain failure says nothing of how good an
    architecture is, and a confirmation never trains the model of its run.
    """
    if trial.origin == Origin.CONFIRM:
        return None
    if trial.status in WORST + STOPPED:
        return -math.inf
    if trial.value is None or not math.isfinite(trial.value):
        return None
    return metric.sign * trial.value


def learn(trials: Sequence[Trial], metric: Metric, seed: int = 0) -> Lesson:
    """Returns at most `MAX_TRIALS` trials with normal scores of ranks within their fidelity.

    Args:
        trials: of one run, closed or not.
        metric: gives the direction.
        seed: of the random part of the choice above `MAX_TRIALS` trials.
    """
    rated = [(t, q) for t in trials if (q := quality(t, metric)) is not None]
    values = ordered(rated, metric)
    kept = _choose(values, seed)
    chosen = tuple(rated[i][0] for i in kept)
    scores = np.zeros(len(kept))
    fidelities = np.array([trial.meant_for for trial in chosen])
    for fidelity in sorted(set(fidelities.tolist())):
        rows = fidelities == fidelity
        scores[rows] = normal_scores(values[kept][rows])
    return Lesson(trials=chosen, scores=scores)


def ordered(rated: Sequence[tuple[Trial, float]], metric: Metric) -> FloatArray:
    """Returns numbers in the order of quality, with what was stopped early in its place.

    Below all that was trained to the end, above what failed: the later stopped the better, and at
    one rung by the metric there.
    """
    values = np.array([q for _, q in rated], dtype=np.float64)
    stopped = [row for row, (trial, _) in enumerate(rated) if trial.status in STOPPED]
    if not stopped:
        return values
    least = min(values[np.isfinite(values)], default=0.0)
    keys = [(len(rated[row][0].curve), metric.sign * rated[row][0].curve[-1]) for row in stopped]
    places = {key: place for place, key in enumerate(sorted(set(keys), reverse=True), start=1)}
    values[stopped] = [least - places[key] for key in keys]
    return values


def normal_scores(values: FloatArray) -> FloatArray:
    """Returns the normal quantile of each value's mid-rank; ties share theirs."""
    if not len(values):
        return np.empty(0)
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]  # SciPy's `rankdata`, without its checks
    return np.asarray(ndtri((ranks - 0.5) / len(values)), dtype=np.float64)


def _choose(values: FloatArray, seed: int) -> list[int]:
    """Returns at most `MAX_TRIALS` positions: the best, the latest and a random rest, in order."""
    if len(values) <= MAX_TRIALS:
        return list(range(len(values)))
    best = np.argsort(-values, kind="stable")[:N_BEST].tolist()
    recent = range(len(values) - N_RECENT, len(values))
    kept = {*best, *recent}
    rest = [i for i in range(len(values)) if i not in kept]
    drawn = np.random.default_rng(seed).choice(rest, MAX_TRIALS - len(kept), replace=False)
    return sorted({*kept, *drawn.tolist()})


def noise_floor(trials: Sequence[Trial], metric: Metric) -> float | None:
    """Returns the standard deviation between seeds, in the metric's unit; None if not measured.

    Pooled over architectures with several seeds; only over those at or above the median of all
    trials, where there are any: noise near the top is what selection has to deal with.
    """
    values: dict[tuple[object, str], list[float]] = {}
    for trial in trials:
        if (rated := quality(trial, metric)) is not None and math.isfinite(rated):
            values.setdefault((trial.architecture, trial.fidelity), []).append(rated)
    repeated = [np.array(group) for group in values.values() if len(group) > 1]
    if not repeated:
        return None
    middle = float(np.median([v for group in values.values() for v in group]))
    near_top = [group for group in repeated if group.mean() >= middle] or repeated
    freedom = sum(len(group) - 1 for group in near_top)
    return float(np.sqrt(sum(((g - g.mean()) ** 2).sum() for g in near_top) / freedom))
