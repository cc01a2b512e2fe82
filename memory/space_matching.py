"""Whether a run of another space may speak of this one, and how far."""

from __future__ import annotations

from vitruvius.errors import ConfigError
from vitruvius.memory.feature_matching import carry_rule as carry_rule
from vitruvius.memory.feature_matching import match
from vitruvius.spaces.reference import reference_features
from vitruvius.spaces.space import SearchSpace


def are_alike(one: SearchSpace, other: SearchSpace) -> bool:
    """Returns whether both are of one family and speak of the same features."""
    return one.name == other.name and one.features == other.features


def matched_share(source: SearchSpace, target: SearchSpace) -> float:
    """Returns the share of the source's features that the target knows too: 1 in one family.

    Features that are the same in all of the source say nothing there, and do not count.

    Raises:
        ConfigError: the two have too little in common; the sentence says what.
    """
    if are_alike(source, target):
        return 1.0
    matching = match(source, target)
    if matching.reason:
        raise ConfigError(matching.reason)
    varying = int((reference_features(source).std(axis=0) > 0).sum())
    return min(1.0, len(matching.names) / max(1, varying))
