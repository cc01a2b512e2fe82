"""What a run's trials say of the whole space: scores on the sampler's scale, and draws of them.

Trials are chosen, so a score among them is no score among the space. Here 0 is the median of
the space's own sampler and 1 a standard deviation of its ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from vitruvius.memory.model.gaussian_process import Posterior, Surrogate
from vitruvius.memory.model.ranking import Lesson
from vitruvius.memory.records import Trial
from vitruvius.spaces.space import (
    REFERENCE_DRAWS,
    FloatArray,
    SearchSpace,
    distinct_reference,
    reference_features,
)

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
