"""The model of a run: a Gaussian process over the features of canonical architectures.

Squared-exponential kernel over `coordinates`, one length scale per group of features. The prior is
exchangeable over the choices of a slot. A Bayesian linear model with pairwise terms over the
same features measured alike on NAS-Bench-201 (median queries to the best 0.1 % 9 / 9 / 11, here
9 / 10 / 10, 40 and 100 seeds); a Gaussian process does not presume that effects end at pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitruvius.memory.model.cholesky import lower_factor, solve_lower
from vitruvius.memory.model.coordinates import Coordinates, coordinates
from vitruvius.memory.model.hyperparameters import (
    FIT_POINTS,
    JITTER,
    Hyper,
    kernel,
    remembered_hyper,
)
from vitruvius.memory.model.prior import Prior
from vitruvius.spaces.space import FloatArray, SearchSpace

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
