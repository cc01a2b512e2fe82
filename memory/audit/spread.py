"""How a space's sampler spreads its draws over each factor, before anything is labelled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitruvius.memory.audit.factors import Factors
from vitruvius.spaces.space import SearchSpace, reference_features


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How many values a factor takes, and the share of draws with the most common one."""

    name: str
    is_derived: bool
    values: int
    most_common: float


def spreads(space: SearchSpace) -> list[Spread]:
    """Returns the spread of every factor, in the order of the space."""
    reference = reference_features(space)
    found = []
    for factor in Factors.of(space).every:
        _, counts = np.unique(factor.values(reference).round(9), return_counts=True)
        found.append(
            Spread(
                name=factor.name,
                is_derived=factor.is_derived,
                values=len(counts),
                most_common=float(counts.max() / counts.sum()),
            )
        )
    return found
