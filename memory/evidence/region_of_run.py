"""The region that a run's cuts leave."""

from __future__ import annotations

from collections.abc import Iterable

from vitruvius.memory.records import CutRecord
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.space import SearchSpace


def region_of(space: SearchSpace, cuts: Iterable[CutRecord]) -> Region:
    """Returns the space less the cuts in force; those undone are passed over."""
    return Region(
        space,
        tuple(
            Cut(
                number=cut.number,
                rule=cut.rule,
                principle=cut.principle,
                reason=cut.reason,
                provisional=cut.provisional,
            )
            for cut in cuts
            if cut.in_force
        ),
    )
