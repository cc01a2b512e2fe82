"""Hyperparameters of the run's Gaussian process: length scales by group, and the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.memory.model.cholesky import lower_factor, solve_lower
from vitruvius.memory.model.coordinates import Coordinates
from vitruvius.spaces.space import FloatArray

# Prior of the hyperparameters: log of the inverse squared length scales and of the noise share.
LOG_WEIGHT, LOG_WEIGHT_SD = -1.5, 0.5
LOG_CHOICES = -2.5  # choices at slots matter less where structure is described as well
LOG_NOISE, LOG_NOISE_SD = float(np.log(0.05)), 1.5
STEPS = (1.0, 1.0, 0.5, 0.25)  # of the coordinate search, in units of the prior's log scale
FIT_POINTS = 120  # hyperparameters are fitted on at most so many trials
JITTER = 1e-6


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """Fitted hyperparameters: inverse squared length scale per group, noise share."""

    weights: tuple[float, ...]
    noise: float


def fit_hyper(
    space: Coordinates,
    points: FloatArray,
    scores: FloatArray,
    basis: FloatArray | None = None,
    share: float = 1.0,
) -> Hyper:
    """Returns the hyperparameters of highest posterior on a coordinate search.

    Deterministic. The signal's variance is integrated out.

    Args:
        space: the coordinates' groups.
        points: coordinates [N, D].
        scores: targets [N], prior mean subtracted.
        basis: whose inner products are a kernel of its own [N, J].
        share: prior expectation of the variance.
    """
    centre = _prior_centre(space)
    fixed = None if basis is None else basis @ basis.T
    squares = [square_distances(points[:, g], points[:, g]) for g in space.groups]
    matrix, part = np.empty_like(squares[0]), np.empty_like(squares[0])  # used by every try

    def loss(values: tuple[float, ...]) -> float:
        weights, noise = np.exp(values[:-1]).tolist(), math.exp(values[-1])
        np.multiply(squares[0], -weights[0], out=matrix)
        for weight, square in zip(weights[1:], squares[1:], strict=True):
            np.subtract(matrix, np.multiply(square, weight, out=part), out=matrix)
        np.exp(matrix, out=matrix)
        if fixed is not None:
            np.add(matrix, fixed, out=matrix)
        matrix.ravel()[:: len(matrix) + 1] += noise + JITTER
        factor = lower_factor(matrix)
        whitened = solve_lower(factor, scores)
        fit = 0.5 * (len(scores) + 1) * math.log(share + whitened @ whitened)
        prior = sum(((v - c) / LOG_WEIGHT_SD) ** 2 for v, c in zip(values, centre, strict=False))
        prior += ((values[-1] - LOG_NOISE) / LOG_NOISE_SD) ** 2
        return fit + float(np.log(factor.diagonal()).sum()) + 0.5 * prior

    best = (*centre, LOG_NOISE)
    lowest = loss(best)
    for step in STEPS:
        for place in range(len(best)):
            for direction in (step, -step):
                tried = (*best[:place], best[place] + direction, *best[place + 1 :])
                if (value := loss(tried)) < lowest - 1e-9:
                    best, lowest = tried, value
                    break
    return Hyper(weights=tuple(np.exp(best[:-1]).tolist()), noise=float(np.exp(best[-1])))


def _prior_centre(space: Coordinates) -> tuple[float, ...]:
    many = len(space.names) > 1
    return tuple(LOG_CHOICES if many and name == "choices" else LOG_WEIGHT for name in space.names)


@lru_cache(maxsize=64)
def remembered_hyper(
    space: Coordinates, points: bytes, scores: bytes, basis: bytes = b"", share: float = 1.0
) -> Hyper:
    """Returns `fit_hyper`, kept for the last few data sets; the decision before had the same."""
    left: FloatArray = np.frombuffer(scores)
    there = np.frombuffer(points).reshape(len(left), len(space.columns))
    hinted = np.frombuffer(basis).reshape(len(left), -1) if basis else None
    return fit_hyper(space, there, left, hinted, share)


def kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    """Returns the correlations exp(-|a - b|^2) of points [N, D] and [M, D]: [N, M]."""
    nearness = (2.0 * a) @ b.T  # in place from here: this is the time of a decision
    nearness -= np.einsum("nd,nd->n", a, a)[:, None]
    nearness -= np.einsum("nd,nd->n", b, b)
    np.minimum(nearness, 0, out=nearness)
    return np.exp(nearness, out=nearness)


def square_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Returns squared Euclidean distances [len(a), len(b)]."""
    squares = (-2.0 * a) @ b.T
    squares += np.einsum("nd,nd->n", a, a)[:, None]
    squares += np.einsum("nd,nd->n", b, b)
    return np.maximum(squares, 0, out=squares)
