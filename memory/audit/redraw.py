"""Architectures beside the same ones with a single slot drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, FloatArray, SearchSpace

PAIRS = 400  # for each slot


@dataclass(frozen=True, kw_only=True, eq=False)
class Redrawn:
    """Features of draws [N, F], and by slot those of the draws with that slot drawn anew."""

    before: FloatArray
    after: Mapping[str, FloatArray]


@lru_cache(maxsize=8)
def redrawn(space: SearchSpace) -> Redrawn | None:
    """Returns draws with one slot drawn anew, or None for a space whose sampler is another.

    Slots are drawn before the canonical form is taken: in it, one slot may follow from others.
    """
    if not isinstance(space, SlotSpace) or type(space).sample is not SlotSpace.sample:
        return None
    rng = np.random.default_rng(1)
    drawn = [
        {slot.name: slot.names[rng.integers(len(slot.names))] for slot in space.slots}
        for _ in range(PAIRS)
    ]
    after = {}
    for slot in space.slots:
        changed = [{**spec, slot.name: slot.names[rng.integers(len(slot.names))]} for spec in drawn]
        after[slot.name] = _features(space, changed)
    return Redrawn(before=_features(space, drawn), after=after)


def _features(space: SlotSpace, specs: list[dict[str, str]]) -> FloatArray:
    return space.featurise([space.canonical(Architecture.of(spec)) for spec in specs])
