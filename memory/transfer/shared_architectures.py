"""Architectures that two spaces write alike: what is known of one is known of the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vitruvius.memory.transfer.space_overlap import is_one_family
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace


def scores_here(
    source: SearchSpace, target: SearchSpace, known: Mapping[Architecture, float]
) -> dict[bytes, float]:
    """Returns what is known of a source's architectures, by the features of their twins.

    A twin has the same choices at slots of the same names. One architecture of the source can have
    several, which only the target tells apart; they are all found where the target lists its
    members.
    """
    members = target.members()
    if is_one_family(source, target):
        twins = dict(known)
    elif members is not None:
        asked = ((member, _twin(member, source)) for member in members)
        twins = {member: known[twin] for member, twin in asked if twin and twin in known}
    else:
        told = ((_twin(each, target), score) for each, score in known.items())
        twins = {twin: score for twin, score in told if twin is not None}
    if not twins:
        return {}
    rows = np.ascontiguousarray(target.featurise(list(twins)))
    return dict(zip((row.tobytes() for row in rows), twins.values(), strict=True))


def look_up(features: FloatArray, scores: Mapping[bytes, float]) -> FloatArray:
    """Returns the scores of rows of features [N], NaN where there is none."""
    rows = np.ascontiguousarray(features)
    return np.array([scores.get(row.tobytes(), np.nan) for row in rows])


def _twin(architecture: Architecture, space: SearchSpace) -> Architecture | None:
    """Returns the canonical form of the same choices in a space, if it has them."""
    choices = architecture.spec
    if not isinstance(choices, dict) or choices.keys() != {slot.name for slot in space.slots}:
        return None
    if any(choices[slot.name] not in slot.names for slot in space.slots):
        return None
    return space.canonical(architecture)
