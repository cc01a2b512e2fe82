"""The features of one space in the words of another, where both know them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import FloatArray, SearchSpace

AS_THEY_ARE = ("bool", "share")  # values that mean the same everywhere; others go as quantiles


@dataclass(frozen=True, kw_only=True, eq=False)
class Translation:
    """From features of a run's space [N, F] to those of a source's [N, G].

    `pairs` are the columns that both know; None: the spaces are the same. What the run's space
    does not know is neutral: the average under the source's sampler.
    """

    pairs: tuple[tuple[int, int], ...] | None
    neutral: FloatArray
    there: FloatArray  # reference features of the source's space, each column sorted
    here: FloatArray  # those of the run's

    def of(self, features: FloatArray) -> FloatArray:
        """Returns a run's features as a source's."""
        if self.pairs is None:
            return features
        found = np.tile(self.neutral, (len(features), 1))
        for mine, other in self.pairs:
            found[:, other] = self._moved(features[:, mine], mine, other)
        return found

    def common(self, features: FloatArray) -> FloatArray:
        """Returns a source's features [N, G] with everything neutral that the run cannot say."""
        if self.pairs is None:
            return features
        found = np.tile(self.neutral, (len(features), 1))
        known = [other for _, other in self.pairs]
        found[:, known] = features[:, known]
        return found

    def _moved(self, values: FloatArray, mine: int, other: int) -> FloatArray:
        """Returns the source's values at the same quantiles (of ties the middle one)."""
        here, there = self.here[:, mine], self.there[:, other]
        if np.isnan(here).any():
            return values
        low = np.searchsorted(here, values - 1e-9, side="left")
        high = np.searchsorted(here, values + 1e-9, side="right")
        quantiles = (low + high) / (2 * len(here))
        return np.asarray(np.quantile(there, np.clip(quantiles, 0, 1)))


@lru_cache(maxsize=16)
def translation(space: SearchSpace, source: SearchSpace) -> Translation | None:
    """Returns how a run's space speaks to a source's, or None where they share no feature.

    Features match that have the same name and kind. Kinds `bool` and `share` keep their values,
    counts and ordinals their quantile under each space's own sampler.
    """
    here, there = reference_features(space), reference_features(source)
    if space.name == source.name and space.features == source.features:
        return Translation(pairs=None, neutral=np.empty(0), there=there, here=here)
    places = {(f.name, f.kind): column for column, f in enumerate(source.features)}
    pairs = tuple(
        (column, places[feature.name, feature.kind])
        for column, feature in enumerate(space.features)
        if (feature.name, feature.kind) in places
    )
    if not pairs:
        return None
    mine = np.sort(here, axis=0)
    for column, _ in pairs:
        if space.features[column].kind in AS_THEY_ARE:
            mine[:, column] = np.nan
    return Translation(
        pairs=pairs, neutral=there.mean(axis=0), there=np.sort(there, axis=0), here=mine
    )
