"""What cuts remove, by every way to count a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitruvius.spaces.counting import specifications
from vitruvius.spaces.rules import Rule, holds
from vitruvius.spaces.space import (
    Architecture,
    BoolArray,
    FloatArray,
    SearchSpace,
    distinct,
    reference_features,
)


@dataclass(frozen=True, kw_only=True)
class Removed:
    """Shares removed: of the sampler's draws, of labels, of all architectures, of specifications.

    None where these cannot be counted.
    """

    sampler: float
    sample: float
    distinct: float | None
    nominal: float | None


def removed_by(
    space: SearchSpace, rules: Sequence[Rule], sample: Sequence[Architecture]
) -> Removed:
    """Returns what rules remove together.

    Args:
        space: of the rules.
        rules: what is kept satisfies all of them.
        sample: labelled architectures.
    """

    def lost(features: FloatArray) -> BoolArray:
        kept = [holds(rule, space, features) for rule in rules]
        everything = np.ones(len(features), dtype=np.bool_)
        return np.asarray(~np.logical_and.reduce([everything, *kept]))

    counted = specifications(space)
    members = space.members() if counted is None else list(counted)
    of_members = None if members is None else lost(space.featurise(members))
    weights = None if counted is None else np.array(list(counted.values()), dtype=np.float64)
    return Removed(
        sampler=float(lost(reference_features(space)).mean()),
        sample=float(lost(space.featurise(distinct(sample))).mean()) if sample else 0.0,
        distinct=None if of_members is None else float(of_members.mean()),
        nominal=None
        if of_members is None or weights is None
        else float(of_members @ weights / weights.sum()),
    )
