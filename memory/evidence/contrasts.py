"""What a run's trials say of the whole space, and of a rule in it: contrast, and a cut's loss.

Trials are chosen, so a score among them is no score among the space. On the scale here 0 is the
median of the space's own sampler and 1 a standard deviation of its ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from vitruvius.memory.model.gaussian_process import Posterior, Surrogate
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import Trial
from vitruvius.spaces.space import (
    REFERENCE_DRAWS,
    BoolArray,
    FloatArray,
    SearchSpace,
    distinct_reference,
    reference_features,
)
from vitruvius.tasks.task import Metric

ROUNDS = 4  # of mapping scores to the sampler's scale; the map has settled by then
MODEL_TRUST = 8  # uniform trials that weigh as much as the model in that map
DRAWS = 128
THIN = 4  # every so many-th of the reference sample gives ranks
# A kernel is never the truth. Intervals of contrasts cover as they say without a stretch, but one
# in a hundred cuts that unstretched draws license loses more than its limit.
TOP_STRETCH = 1.4


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """The model of the run at the reference sample.

    `scores` [N] are the trials' on the sampler's scale, `mean` [M] the model's at the reference
    sample and `draws` [DRAWS, M] of its posterior, `residuals` [N] of the trials from the
    prediction by all others.
    """

    trials: tuple[Trial, ...]
    scores: FloatArray
    mean: FloatArray
    draws: FloatArray
    residuals: FloatArray

    def stretched(self) -> FloatArray:
        """Returns the draws with deviations from the mean times `TOP_STRETCH`."""
        return np.asarray(self.mean + TOP_STRETCH * (self.draws - self.mean))


def is_uniform(trial: Trial) -> bool:
    """Returns whether the trial was drawn from the space's own sampler."""
    return trial.propensity is not None and trial.propensity > 0


def describe_population(space: SearchSpace, lesson: Lesson) -> Population:
    """Returns what the trials say of the space. Deterministic.

    The last few answers are kept: a rewrite and its verification ask the same.

    Args:
        space: its sampler is the measure of everything.
        lesson: at least two trials.
    """
    return _describe(space, lesson.trials, lesson.scores.tobytes())


@lru_cache(maxsize=4)
def _describe(space: SearchSpace, trials: tuple[Trial, ...], raw: bytes) -> Population:
    features = space.featurise([trial.architecture for trial in trials])
    scores: FloatArray = np.frombuffer(raw)
    weights = np.array([1 / (t.propensity or 1) if is_uniform(t) else 0.0 for t in trials])
    reference = reference_features(space)
    model = Surrogate.fit(space, features, scores)
    thinned = model.at(reference[::THIN])
    for _ in range(ROUNDS):
        scores = _to_sampler_scale(model, thinned, scores, weights)
        model = model.retold(scores)
    model = Surrogate.fit(space, features, scores)
    first, which = distinct_reference(space)
    there = model.at(reference[first])
    draws = model.sample(there, DRAWS, np.random.default_rng(0))
    draws += there.mean - draws.mean(axis=0)
    return Population(
        trials=trials,
        scores=scores,
        mean=there.mean[which],
        draws=draws[:, which],
        residuals=model.left_out()[0],
    )


def _to_sampler_scale(
    model: Surrogate, thinned: Posterior, scores: FloatArray, weights: FloatArray
) -> FloatArray:
    """Returns the normal quantile of each score's rank among the sampler's draws.

    The rank is the model's, moved by what the uniform trials show to be wrong with it: a model
    of chosen trials thinks too well of regions where it has none.
    """
    mean = model.whitened @ thinned.solved  # `thinned` may be told other scores
    variance = model.variance * (thinned.sd**2 / thinned.variance) + model.noise_sd**2
    ranks = ndtr((scores[:, None] - mean) / np.sqrt(variance)).mean(axis=1)
    uniform = weights > 0
    if uniform.any():
        left, sd = model.left_out()
        expected = ndtr((scores[:, None] - (scores - left)[uniform]) / sd[uniform])
        seen = (scores[:, None] > scores[uniform]) + 0.5 * (scores[:, None] == scores[uniform])
        share = weights[uniform] / weights[uniform].sum()
        trust = uniform.sum() / (uniform.sum() + MODEL_TRUST)
        ranks += trust * ((seen - expected) @ share)
    order = np.argsort(scores, kind="stable")
    rising = np.maximum.accumulate(ranks[order])
    falling = np.minimum.accumulate(ranks[order][::-1])[::-1]
    ranks[order] = (rising + falling) / 2
    edge = 0.5 / REFERENCE_DRAWS
    return np.asarray(ndtri(np.clip(ranks, edge, 1 - edge)))


TOP = 0.01
TOP_BOUND = 0.90
SHOWN = 10  # trials named for and against

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Effect of one rule: satisfied minus not, averaged over the space's sampler."""

    effect: float
    sd: float
    doubly_robust: float | None
    doubly_robust_sd: float
    points: float | None
    top_loss: float
    top_loss_high: float
    kept: float


def contrast(
    population: Population,
    there: BoolArray,
    here: BoolArray,
    top: IntArray,
    metric: Metric,
) -> Contrast:
    """Returns the effect of a rule.

    Args:
        population: the model of the run at the reference sample.
        there: which of the reference sample satisfy the rule [M].
        here: which trials do [N].
        top: `best_of_draws`.
        metric: for the effect in its unit.
    """
    kept = float(there.mean())
    losses = (~there)[top].mean(axis=1)
    loss = float(losses.mean())
    high = max(loss, float(np.quantile(losses, TOP_BOUND)))  # rare large losses lift the mean only
    if kept in (0.0, 1.0):
        return Contrast(
            effect=0.0,
            sd=math.inf,
            doubly_robust=None,
            doubly_robust_sd=math.inf,
            points=None,
            top_loss=loss,
            top_loss_high=high,
            kept=kept,
        )
    weights = there / there.sum() - ~there / (~there).sum()
    effect = float(weights @ population.mean)
    robust, robust_sd = _doubly_robust(population, here, effect)
    return Contrast(
        effect=effect,
        sd=float((population.draws @ weights).std()),
        doubly_robust=robust,
        doubly_robust_sd=robust_sd,
        points=_points(population, there, metric),
        top_loss=loss,
        top_loss_high=high,
        kept=kept,
    )


@lru_cache(maxsize=4)
def _best_of_all(population: Population) -> IntArray:
    return _best(population, np.arange(population.draws.shape[1]))


def best_of_draws(population: Population, inside: BoolArray | None = None) -> IntArray:
    """Returns which of the reference sample are the best 1 % in each stretched draw: [draws, best].

    Args:
        population: the model of the run at the reference sample.
        inside: the part of the sample that counts [M]; None: all of it.
    """
    return _best_of_all(population) if inside is None else _best(population, np.flatnonzero(inside))


def _best(population: Population, places: IntArray) -> IntArray:
    draws = population.stretched()[:, places]
    count = max(1, round(TOP * len(places)))
    return np.asarray(places[np.argpartition(-draws, count - 1, axis=1)[:, :count]])


def _doubly_robust(
    population: Population, here: BoolArray, effect: float
) -> tuple[float | None, float]:
    """Returns the effect plus what the uniform trials' residuals add, and its standard error."""
    uniform, weights = _drawn(population)
    sides = [uniform & here, uniform & ~here]
    if not all(side.any() for side in sides):
        return None, math.inf
    inner, outer = (
        float(np.average(population.residuals[side], weights=weights[side])) for side in sides
    )
    spread = float(np.std(population.residuals[uniform]))
    error = spread * math.sqrt(sum(1 / int(side.sum()) for side in sides))
    return effect + inner - outer, error


@lru_cache(maxsize=4)
def _drawn(population: Population) -> tuple[BoolArray, FloatArray]:
    """Returns which trials the sampler drew [N], and the weights of those that it did [N]."""
    uniform = np.array([is_uniform(trial) for trial in population.trials])
    return uniform, np.array([1 / (trial.propensity or 1) for trial in population.trials])


def _points(population: Population, there: BoolArray, metric: Metric) -> float | None:
    """Returns the difference in the metric's unit."""
    predicted = _in_unit(population, metric)
    if predicted is None:
        return None
    return float(predicted[there].mean() - predicted[~there].mean())


@lru_cache(maxsize=4)
def _in_unit(population: Population, metric: Metric) -> FloatArray | None:
    """Returns the model's mean at the reference sample, scores read as the trials' values [M]."""
    rated = [
        (score, trial.value)
        for score, trial in zip(population.scores, population.trials, strict=True)
        if trial.value is not None
    ]
    if len(rated) < 2:
        return None
    scores, values = np.array(sorted(rated, key=lambda row: (row[0], metric.sign * row[1]))).T
    return np.asarray(np.interp(population.mean, scores, values))


def witnesses(population: Population, here: BoolArray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns numbers of trials that speak for a rule and against it, the clearest first."""
    speaks = np.where(here, 1, -1) * population.scores
    order = np.argsort(-np.abs(speaks), kind="stable")
    numbers = [(population.trials[i].number, speaks[i]) for i in order.tolist()]
    supporting = [number for number, voice in numbers if voice > 0]
    contradicting = [number for number, voice in numbers if voice < 0]
    return tuple(supporting[:SHOWN]), tuple(contradicting[:SHOWN])
