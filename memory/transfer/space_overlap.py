"""What two spaces both know of an architecture, and how the values compare.

A feature is the same in two spaces if it has the same name and kind, and says something only where
it varies in both. Shares and booleans mean the same as they stand. Counts and ordinals do not (six
layers are many here and few there): they compare as quantiles under each space's own sampler.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.space import Feature, FloatArray, SearchSpace, reference_features

LEAST_SHARED = 3  # features that vary in both spaces, for one to say anything of the other
AS_THEY_ARE = ("bool", "share")  # kinds whose values mean the same everywhere
TIES = 1e-9  # values nearer than this are one value


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """How a source's space speaks to a target's.

    `pairs` are the columns (of the source, of the target) of the features that both know, and
    `share` the part of the source's varying features that these are. `reason` says, in a sentence,
    why nothing can be carried over; it is empty where something can.
    """

    source: SearchSpace
    target: SearchSpace
    pairs: tuple[tuple[int, int], ...]
    share: float
    reason: str = ""

    @property
    def is_one_family(self) -> bool:
        """Whether nothing needs translating."""
        return is_one_family(self.source, self.target)

    @property
    def names(self) -> tuple[str, ...]:
        """The features that both know."""
        return tuple(self.source.features[mine].name for mine, _ in self.pairs)

    def in_source(self, features: FloatArray) -> FloatArray:
        """Returns the target's features [N, F] as the source would describe them [N, G].

        What the target does not know is neutral: the average under the source's sampler.
        """
        if self.is_one_family:
            return features
        found = self._neutral(len(features))
        here, there = _ordered(self.target), _ordered(self.source)
        for mine, other in self.pairs:
            values = features[:, other]
            if self.source.features[mine].kind not in AS_THEY_ARE:
                values = np.quantile(there[:, mine], quantiles(values, here[:, other]))
            found[:, mine] = values
        return found

    def common(self, features: FloatArray) -> FloatArray:
        """Returns the source's features [N, G], neutral wherever the target knows nothing."""
        if self.is_one_family:
            return features
        found = self._neutral(len(features))
        known = [mine for mine, _ in self.pairs]
        found[:, known] = features[:, known]
        return found

    def _neutral(self, rows: int) -> FloatArray:
        return np.tile(reference_features(self.source).mean(axis=0), (rows, 1))


def is_one_family(one: SearchSpace, other: SearchSpace) -> bool:
    """Returns whether what is said of one is said of the other, whatever their skeletons."""
    alike = one.slots == other.slots and one.features == other.features
    return alike and one.name == other.name


@lru_cache(maxsize=64)
def match(source: SearchSpace, target: SearchSpace) -> Matching:
    """Returns which features two spaces both know, and how their values compare.

    Example:
        >>> from vitruvius.spaces.registry import load_space
        >>> matching = match(load_space("nb201"), load_space("transnas"))
        >>> len(matching.pairs), matching.reason
        (46, '')
        >>> match(load_space("macro"), load_space("nb201")).reason
        'macro and nb201 have no feature in common.'
    """
    there = {(feature.name, feature.kind): place for place, feature in _varying(target)}
    mine = _varying(source)
    pairs = tuple((p, there[f.name, f.kind]) for p, f in mine if (f.name, f.kind) in there)
    if is_one_family(source, target):
        return Matching(source=source, target=target, pairs=pairs, share=1.0)
    reason = ""
    if len(pairs) < LEAST_SHARED:
        names = ", ".join(source.features[place].name for place, _ in pairs)
        few = f"; at least {LEAST_SHARED} features must vary in both" if names else ""
        shared = f"only {names}" if names else "no feature"
        reason = f"{source.name} and {target.name} have {shared} in common{few}."
    share = 0.0 if reason else len(pairs) / len(mine)
    return Matching(source=source, target=target, pairs=pairs, share=share, reason=reason)


def quantiles(values: FloatArray, ordered: FloatArray) -> FloatArray:
    """Returns the midranks in [0, 1] of values in a sorted sample: half of the ties lie below.

    Example:
        >>> quantiles(np.array([0.0, 1.0, 5.0]), np.array([1.0, 1.0, 2.0, 3.0])).tolist()
        [0.0, 0.25, 1.0]
    """
    below = np.searchsorted(ordered, values - TIES, side="left")
    not_above = np.searchsorted(ordered, values + TIES, side="right")
    ranks: FloatArray = (below + not_above) / (2.0 * len(ordered))
    return ranks


@lru_cache(maxsize=16)
def _ordered(space: SearchSpace) -> FloatArray:
    """Returns the features of draws of the space's sampler, each column sorted."""
    return np.sort(reference_features(space), axis=0)


def _varying(space: SearchSpace) -> list[tuple[int, Feature]]:
    """Returns the features that differ between draws of the space's sampler, with their columns."""
    spread = np.ptp(reference_features(space), axis=0)
    return [(place, f) for place, f in enumerate(space.features) if spread[place] > 0]
