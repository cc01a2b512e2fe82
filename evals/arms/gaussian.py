"""A plain Gaussian process on raw one-hot choices: it knows no canonical form and no structure.

Kernel exp(-Hamming distance / length), unit variance, noise 0.01, length of highest likelihood.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import ndtr

from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

LENGTHS = (1.0, 2.0, 4.0)
NOISE = 1e-2

Choices = NDArray[np.int8]  # [N, slots]: which choice each slot holds


@dataclass(frozen=True, kw_only=True, eq=False)
class Raw:
    """Every combination of choices that leads to a member, and which member."""

    choices: Choices
    architectures: tuple[Architecture, ...]

    def place_of(self) -> dict[Architecture, int]:
        """Returns one combination of each member: the first."""
        found: dict[Architecture, int] = {}
        for place, architecture in enumerate(self.architectures):
            found.setdefault(architecture, place)
        return found

    def __len__(self) -> int:
        return len(self.architectures)


@lru_cache(maxsize=4)
def raw_of(space: SearchSpace) -> Raw:
    """Returns the raw combinations of a space that lists its members."""
    names = [slot.names for slot in space.slots]
    members = set(space.members() or ())
    choices, architectures = [], []
    for chosen in itertools.product(*(range(len(each)) for each in names)):
        spec = {s.name: s.names[i] for s, i in zip(space.slots, chosen, strict=True)}
        architecture = space.canonical(Architecture.of(spec))
        if architecture in members:
            choices.append(chosen)
            architectures.append(architecture)
    return Raw(choices=np.array(choices, dtype=np.int8), architectures=tuple(architectures))


def distances(one: Choices, other: Choices) -> NDArray[np.float32]:
    """Returns in how many slots they differ [N, M]."""
    found = np.zeros((len(one), len(other)), dtype=np.float32)
    for slot in range(one.shape[1]):
        found += one[:, slot, None] != other[None, :, slot]
    return found


def posterior(
    near: NDArray[np.float32], far: NDArray[np.float32], scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Returns mean and deviation [M] from distances [N, N] and [N, M] and scores [N]."""
    fits = []
    for length in LENGTHS:
        kernel = np.exp(-near / length, dtype=np.float64) + NOISE * np.eye(len(near))
        factor = cho_factor(kernel, lower=True)
        weights = cho_solve(factor, scores)
        likelihood = -0.5 * scores @ weights - np.log(np.diag(factor[0])).sum()
        fits.append((float(likelihood), length, factor[0], weights))
    _, length, lower, weights = max(fits, key=lambda fit: fit[0])
    cross = np.exp(-far / np.float32(length))
    left = solve_triangular(lower.astype(np.float32), cross, lower=True, check_finite=False)
    variance = 1 - np.einsum("nm,nm->m", left, left, dtype=np.float64)
    return weights @ cross, np.sqrt(np.maximum(variance, 1e-9))


def expected_improvement(mean: FloatArray, deviation: FloatArray, best: float) -> FloatArray:
    """Returns the expected improvement on the best [M]."""
    step = (mean - best) / deviation
    density = np.exp(-0.5 * step**2) / np.sqrt(2 * np.pi)
    return np.asarray(deviation * (step * ndtr(step) + density), dtype=np.float64)
