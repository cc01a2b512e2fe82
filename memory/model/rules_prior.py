"""The word of earlier runs as a prior mean of the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vitruvius.memory.model.prior import Mean
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import FloatArray, SearchSpace, reference_features

RIDGE = 0.1


def rules_prior(space: SearchSpace, told: Sequence[tuple[Rule, float]]) -> Mean:
    """Returns the prior mean under which each rule has its told effect, all others averaged over.

    Effects of overlapping rules are not added up: weights of the rules are solved for so that
    each contrast under the space's sampler is the told one (with a ridge, as told effects may
    contradict each other).

    Args:
        space: whose sampler averages.
        told: rules that fit the space, and their effects in normal-score units.
    """
    reference = reference_features(space)
    met = np.array([holds(rule, space, reference) for rule, _ in told], dtype=np.float64)
    kept = met.mean(axis=1, keepdims=True)
    use = ((kept > 0) & (kept < 1)).ravel()
    rules = [rule for (rule, _), ok in zip(told, use, strict=True) if ok]
    effects = np.array([effect for (_, effect), ok in zip(told, use, strict=True) if ok])
    met, kept = met[use], kept[use]
    contrast = met / met.sum(1, keepdims=True) - (1 - met) / (1 - met).sum(1, keepdims=True)
    mixing = contrast @ met.T  # what a weight on rule j adds to the effect of rule i
    weights = np.linalg.solve(mixing.T @ mixing + RIDGE * np.eye(len(rules)), mixing.T @ effects)

    def mean(features: FloatArray) -> FloatArray:
        total = np.zeros(len(features))
        for rule, weight, share in zip(rules, weights, kept.ravel(), strict=True):
            total += weight * (holds(rule, space, features) - share)
        return total

    return mean
