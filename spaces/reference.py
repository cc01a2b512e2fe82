"""A fixed sample of a space's own sampler: fractions, medians and contrasts average over it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

IntArray = NDArray[np.int64]

REFERENCE_DRAWS = 2000


@lru_cache(maxsize=16)
def reference_sample(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> tuple[Architecture, ...]:
    """Returns that many draws of the space's own sampler, seed 0, repeats included."""
    rng = np.random.default_rng(0)
    return tuple(space.sample(rng) for _ in range(draws))


@lru_cache(maxsize=16)
def distinct_reference(space: SearchSpace) -> tuple[IntArray, IntArray]:
    """Returns where each different architecture of `reference_sample` first stands, and which.

    `sample[first][which]` is the sample: what costs much is computed once for each. Half of the
    draws of a small space are repeats.
    """
    sample = reference_sample(space)
    order = {architecture: i for i, architecture in enumerate(dict.fromkeys(sample))}
    which = np.array([order[architecture] for architecture in sample])
    return np.unique(which, return_index=True)[1], which


@lru_cache(maxsize=16)
def reference_features(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> FloatArray:
    """Returns the feature matrix of `reference_sample`."""
    return space.featurise(reference_sample(space, draws))
