"""The model of a run: a Gaussian process over the features of canonical architectures.

Squared-exponential kernel over `coordinates`, one length scale per group of features. The prior is
exchangeable over the choices of a slot. A Bayesian linear model with pairwise terms over the
same features measured alike on NAS-Bench-201 (median queries to the best 0.1 % 9 / 9 / 11, here
9 / 10 / 10, 40 and 100 seeds); a Gaussian process does not presume that effects end at pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dpotrf, dtrtrs

from vitruvius.memory.model.coordinates import Coordinates, coordinates
from vitruvius.memory.model.prior import Prior
from vitruvius.spaces.space import FloatArray, SearchSpace


def lower_factor(matrix: FloatArray) -> FloatArray:
    """Returns the lower Cholesky factor of a symmetric positive definite matrix [N, N].

    Raises:
        numpy.linalg.LinAlgError: if it is not positive definite.
    """
    if not len(matrix):
        return matrix
    factor, info = dpotrf(matrix, lower=1, clean=1)
    if info != 0:
        raise np.linalg.LinAlgError(f"the matrix of {len(matrix)} rows is not positive definite")
    return np.asarray(factor)


def solve_lower(factor: FloatArray, right: FloatArray) -> FloatArray:
    """Returns factor^-1 right for a lower factor [N, N] and a vector [N] or matrix [N, M]."""
    if not len(factor):
        return right
    if right.ndim == 1:
        return np.asarray(dtrtrs(factor, right, lower=1)[0])
    # From the right, on the transpose: LAPACK's way of storing it, so that nothing is copied over.
    return np.asarray(dtrsm(1.0, factor, right.T, side=1, lower=1, trans_a=1)).T


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


FOURIER = 512  # random features of one prior sample


@dataclass(frozen=True, kw_only=True, eq=False)
class Surrogate:
    """A fitted Gaussian process: what a run's trials say of every architecture's score."""

    space: Coordinates
    hyper: Hyper
    points: FloatArray  # coordinates of the trials times root weights [N, D]
    factor: FloatArray  # Cholesky factor of the kernel matrix with noise [N, N], lower
    whitened: FloatArray  # factor^-1 (scores - prior mean) [N]
    variance: float  # of the signal
    prior: Prior | None
    basis: FloatArray | None  # of the prior's hints at the trials [N, J]

    @classmethod
    def fit(
        cls,
        space: SearchSpace,
        features: FloatArray,
        scores: FloatArray,
        prior: Prior | None = None,
        hyper: Hyper | None = None,
    ) -> Surrogate:
        """Returns the process given trials.

        Hyperparameters are fitted on the trials up to the last multiple of a tenth of their
        number, so that they change (and cost) seldom, and depend on nothing but the trials.

        Args:
            space: gives the coordinates.
            features: feature matrix [N, F] of the trials' architectures, in order of number.
            scores: normal scores [N].
            prior: hints; their expected weights give the mean before any trial, and the trials
                move the weights: each adds a linear kernel of its values.
            hyper: hyperparameters to keep; None: fit them.
        """
        transform = coordinates(space)
        plain = transform.of(features)
        left = scores - prior.mean(features) if prior is not None else scores
        basis = prior.basis(features) if prior is not None else None
        share = prior.share if prior is not None else 1.0
        if hyper is None:
            known = len(left) - len(left) % max(1, len(left) // 10)
            spread = np.unique(np.linspace(0, known - 1, min(known, FIT_POINTS)).astype(int))
            hinted = b"" if basis is None else basis[spread].tobytes()
            hyper = remembered_hyper(
                transform, plain[spread].tobytes(), left[spread].tobytes(), hinted, share
            )
        points = plain * _roots(transform, hyper)
        matrix = kernel(points, points)
        if basis is not None:
            matrix += basis @ basis.T
        matrix[np.diag_indices(len(matrix))] += hyper.noise + JITTER
        unsaid = prior.unsaid(features) if prior is not None else None
        if unsaid is not None:
            matrix[np.diag_indices(len(matrix))] += unsaid
        factor = lower_factor(matrix)
        whitened = solve_lower(factor, left)
        return cls(
            space=transform,
            hyper=hyper,
            points=points,
            factor=factor,
            whitened=whitened,
            variance=float((share + whitened @ whitened) / (1 + len(left))),
            prior=prior,
            basis=basis,
        )

    @property
    def noise_sd(self) -> float:
        """Standard deviation of a trial's score around the process."""
        return float(np.sqrt(self.variance * self.hyper.noise))

    @property
    def log_evidence(self) -> float:
        """Log marginal likelihood of the trials, up to a constant of their number."""
        n, fit = len(self.whitened), float(self.whitened @ self.whitened)
        share = self.prior.share if self.prior is not None else 1.0
        return float(-0.5 * (n + 1) * np.log(share + fit) - np.log(np.diag(self.factor)).sum())

    def at(self, features: FloatArray, plain: FloatArray | None = None) -> Posterior:
        """Returns the joint posterior at the rows of a feature matrix [M, F].

        Args:
            features: of canonical architectures.
            plain: their coordinates, where the caller keeps them.
        """
        plain = self.space.of(features) if plain is None else plain
        points = plain * _roots(self.space, self.hyper)
        cross = kernel(self.points, points)
        basis = None
        if self.prior is not None and self.basis is not None:
            basis = self.prior.basis(features)
            cross += self.basis @ basis.T
        solved = solve_lower(self.factor, cross)
        mean, unknown = self.whitened @ solved, 1 - np.einsum("nm,nm->m", solved, solved)
        if self.prior is not None and basis is not None:
            mean = mean + self.prior.mean(features)
            unknown += np.einsum("mj,mj->m", basis, basis)
        return Posterior(
            points=points,
            solved=solved,
            mean=mean,
            sd=np.sqrt(self.variance * np.maximum(unknown, 1e-9)),
            variance=self.variance,
            basis=basis,
        )

    def weights(self) -> FloatArray:
        """Returns the weights of the prior's hints that the trials leave them [J]."""
        if self.prior is None or self.basis is None:
            return np.empty(0)
        solved = solve_lower(self.factor, self.basis)
        return self.prior.moved(solved.T @ self.whitened)

    def left_out(self) -> tuple[FloatArray, FloatArray]:
        """Returns each trial's score minus its prediction from all others, and that one's sd."""
        inverse = solve_lower(self.factor, np.eye(len(self.factor)))
        precision = np.einsum("nm,nm->m", inverse, inverse)
        return (inverse.T @ self.whitened) / precision, np.sqrt(self.variance / precision)

    def retold(self, scores: FloatArray) -> Surrogate:
        """Returns the process with the same points and kernel, given other scores.

        Only without a prior mean.
        """
        whitened = solve_lower(self.factor, scores)
        variance = float((1 + whitened @ whitened) / (1 + len(scores)))
        return replace(self, whitened=whitened, variance=variance)

    def sample(self, there: Posterior, n: int, rng: np.random.Generator) -> FloatArray:
        """Returns draws of the posterior at the points of `at`, joint over them: [n, M].

        Pathwise: a draw of the prior from random Fourier features, moved by what the trials
        say (Wilson et al. 2020, arXiv:2002.09309, eq. 12). In single precision.
        """
        frequencies = rng.standard_normal((FOURIER, there.points.shape[1])) * np.sqrt(2)
        phases = rng.uniform(0, 2 * np.pi, (FOURIER, 1)).astype(np.float32)
        weights = rng.standard_normal((n, FOURIER)) * np.sqrt(2 / FOURIER)

        def prior(points: FloatArray) -> NDArray[np.float32]:
            waves = frequencies.astype(np.float32) @ points.T.astype(np.float32)
            waves += phases
            return np.asarray(weights.astype(np.float32) @ np.cos(waves, out=waves))

        here = prior(self.points).astype(np.float64)
        here += rng.standard_normal(here.shape) * np.sqrt(self.hyper.noise + JITTER)
        moved = solve_lower(self.factor, here.T)
        scale = np.sqrt(self.variance)
        drawn = scale * prior(there.points) + there.mean
        drawn -= scale * (moved.T.astype(np.float32) @ there.solved.astype(np.float32))
        return np.asarray(drawn, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """Mean [M] and standard deviation [M] at M architectures, and their covariances."""

    points: FloatArray
    solved: FloatArray
    mean: FloatArray
    sd: FloatArray
    variance: float
    basis: FloatArray | None = None  # of the prior's hints [M, J]

    def covariance_with(self, row: int) -> FloatArray:
        """Returns the posterior covariance of every architecture with one of them [M]."""
        prior = kernel(self.points[row : row + 1], self.points)[0]
        if self.basis is not None:
            prior += self.basis @ self.basis[row]
        return np.asarray(self.variance * (prior - self.solved[:, row] @ self.solved))

    def covariance(self) -> FloatArray:
        """Returns the joint posterior covariance [M, M]."""
        prior = kernel(self.points, self.points)
        if self.basis is not None:
            prior += self.basis @ self.basis.T
        return np.asarray(self.variance * (prior - self.solved.T @ self.solved))


def _roots(space: Coordinates, hyper: Hyper) -> FloatArray:
    """Returns the square root of each column's weight [D]."""
    roots = np.empty(len(space.columns))
    for group, weight in zip(space.groups, hyper.weights, strict=True):
        roots[group] = np.sqrt(weight)
    return roots
