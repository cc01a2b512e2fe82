"""Hyperparameters of the run's Gaussian process: length scales by group, and the noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from vitruvius.memory.coordinates import Coordinates
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


def fit_hyper(space: Coordinates, points: FloatArray, scores: FloatArray, basis: FloatArray | None = None, share: float = 1.0) -> Hyper:
    """Returns the hyperparameters of highest posterior on a coordinate search.

    Deterministic. The signal's variance is integrated out.

    Args:
        space: the coordinates' groups.
        points: coordinates [N, D].
        scores: targets [N], prior mean subtracted.
    """
    centre = _prior_centre(space)
    extra = basis @ basis.T if basis is not None and basis.size else None
    squares = [square_distances(points[:, g], points[:, g]) for g in space.groups]

    def loss(values: tuple[float, ...]) -> float:
        weights, noise = np.exp(values[:-1]), float(np.exp(values[-1]))
        matrix = np.exp(-sum(w * s for w, s in zip(weights, squares, strict=True)))
        if extra is not None:
            matrix += extra
        matrix[np.diag_indices(len(matrix))] += noise + JITTER
        factor = cholesky(matrix, lower=True, check_finite=False)
        whitened = solve_triangular(factor, scores, lower=True, check_finite=False)
        fit = 0.5 * (len(scores) + 1) * np.log(share + whitened @ whitened)
        prior = sum(((v - c) / LOG_WEIGHT_SD) ** 2 for v, c in zip(values, centre, strict=False))
        prior += ((values[-1] - LOG_NOISE) / LOG_NOISE_SD) ** 2
        return float(fit + np.log(np.diag(factor)).sum() + 0.5 * prior)

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
def remembered_hyper(space: Coordinates, points: bytes, scores: bytes, basis: bytes = b"", share: float = 1.0) -> Hyper:
    """Returns `fit_hyper`, kept for the last few data sets; the decision before had the same."""
    left: FloatArray = np.frombuffer(scores)
    return fit_hyper(space, np.frombuffer(points).reshape(len(left), len(space.columns)), left, np.frombuffer(basis).reshape(len(left), -1) if basis else None, share)


def kernel(a: FloatArray, b: FloatArray) -> FloatArray:
    """Returns the correlations exp(-|a - b|^2) of points [N, D] and [M, D]: [N, M]."""
    squares = square_distances(a, b)
    np.negative(squares, out=squares)
    return np.exp(squares, out=squares)


def square_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """Returns squared Euclidean distances [len(a), len(b)]."""
    squares = (-2.0 * a) @ b.T  # in place from here: this is the time of a decision
    squares += np.einsum("nd,nd->n", a, a)[:, None]
    squares += np.einsum("nd,nd->n", b, b)
    return np.maximum(squares, 0, out=squares)
