"""Hints: what is said of every architecture before a run has trials, and how they make a prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import FloatArray, SearchSpace

Values = Callable[[FloatArray], FloatArray]  # features [N, F] -> values [N]

RIDGE = 0.01  # of the weights of several hints, in units of a score's variance
import os
LEAST_SHARE = float(os.environ.get('LS','0.1'))  # of the variance is left open, however good the hints


@dataclass(frozen=True, kw_only=True, eq=False)
class Hint:
    """A word on every architecture's score, in normal-score units: more is better.

    `trust` is the weight it is believed to deserve, `doubt` the standard deviation of that belief.
    """

    name: str
    values: Values
    trust: float
    doubt: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """What the model holds of an architecture's score before any trial.

    `weights` [J] are the hints' expected weights, all hints taken together; `share` is the part of
    the scores' variance that they leave open.
    """

    hints: tuple[Hint, ...]
    weights: FloatArray
    share: float
    _last: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)

    def values(self, features: FloatArray) -> FloatArray:
        """Returns what each hint says [N, J]; kept for the last long feature matrix."""
        if self._last and self._last[0][0] is features:
            return self._last[0][1]
        found = np.stack([hint.values(features) for hint in self.hints], axis=1)
        if len(features) > 1000:
            self._last[:] = [(features, found)]
        return found

    def mean(self, features: FloatArray) -> FloatArray:
        """Returns the expected scores [N]."""
        return np.asarray(self.values(features) @ self.weights)

    def basis(self, features: FloatArray) -> FloatArray:
        """Returns the hints times the standard deviations of their weights [N, J]."""
        return self.values(features) * np.array([hint.doubt for hint in self.hints])


def combine(space: SearchSpace, hints: Sequence[Hint]) -> Prior | None:
    """Returns the prior of several hints, or None of none.

    Each hint alone would have its trust as weight. Hints that say the same are not added up: the
    weights are solved for so that the score's covariance with each hint is what its trust
    says, under the space's own sampler.
    """
    if not hints:
        return None
    reference = reference_features(space)
    said = np.stack([hint.values(reference) for hint in hints], axis=1)
    shared = np.cov(said, rowvar=False).reshape(len(hints), len(hints))
    told = np.array([hint.trust for hint in hints]) * np.diag(shared)
    weights = np.linalg.solve(shared + RIDGE * np.eye(len(hints)), told)
    share = 1 - float(weights @ shared @ weights)
    return Prior(hints=tuple(hints), weights=weights, share=max(LEAST_SHARE, share))
