"""A fixed sample of a space's own sampler: fractions, medians and contrasts average over it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

REFERENCE_DRAWS = 2000


@lru_cache(maxsize=16)
def reference_sample(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> tuple[Architecture, ...]:
    """Returns that many draws of the space's own sampler, seed 0, repeats included."""
    rng = np.random.default_rng(0)
    return tuple(space.sample(rng) for _ in range(draws))


@lru_cache(maxsize=16)
def reference_features(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> FloatArray:
    """Returns the feature matrix of `reference_sample`."""
    return space.featurise(reference_sample(space, draws))
