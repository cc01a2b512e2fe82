"""How often an architecture is written down: spaces as they are counted in papers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Protocol, runtime_checkable

from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import MAX_MEMBERS, Architecture, SearchSpace


@runtime_checkable
class Counted(Protocol):
    """A space that knows how many specifications it has, and how many give one architecture."""

    @property
    def nominal_size(self) -> int: ...

    def specifications(self, architecture: Architecture) -> int:
        """Returns how many specifications have this canonical form."""
        ...


def nominal_size(space: SearchSpace) -> int | None:
    """Returns the number of specifications, twins included; None where it cannot be told.

    Example:
        >>> from vitruvius.spaces.cells.cell import Cell
        >>> nominal_size(Cell())
        15625
    """
    if isinstance(space, Counted):
        return space.nominal_size
    if isinstance(space, SlotSpace):
        return math.prod(len(slot.choices) for slot in space.slots)
    return None


def specifications(space: SearchSpace) -> dict[Architecture, int] | None:
    """Returns for each member the number of its specifications, where they can be counted."""
    members = space.members()
    if members is None:
        return None
    if isinstance(space, Counted):
        return {member: space.specifications(member) for member in members}
    size = nominal_size(space)
    if not isinstance(space, SlotSpace) or size is None or size > MAX_MEMBERS:
        return None
    names = [slot.name for slot in space.slots]
    combinations = itertools.product(*(slot.names for slot in space.slots))
    raw = (Architecture.of(dict(zip(names, each, strict=True))) for each in combinations)
    return dict(Counter(space.canonical(architecture) for architecture in raw))
