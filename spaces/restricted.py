"""A space restricted to what satisfies some rules, with its own sampler restricted likewise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from vitruvius.errors import ToolError
from vitruvius.spaces.region import Cut, Region
from vitruvius.spaces.rules import Rule
from vitruvius.spaces.space import (
    Architecture,
    Feature,
    FloatArray,
    SearchSpace,
    Slot,
    reference_features,
    reference_sample,
)

DRAWS = 8000  # of the space, once: drawing anew until one lies inside takes seconds


@dataclass(frozen=True)
class Inside:
    """What is left of a space after cuts, as a space of its own: for statistics, not for builds.

    It has the name and id of its space. Medians, thresholds and shares are those of what is left.
    """

    space: SearchSpace
    rules: tuple[Rule, ...] = ()

    @property
    def region(self) -> Region:
        """The region that the rules leave of the whole space."""
        cuts = [
            Cut(number=number, rule=rule, principle="", reason="")
            for number, rule in enumerate(self.rules, start=1)
        ]
        return Region(self.space, tuple(cuts))

    def with_rule(self, rule: Rule) -> Inside:
        """Returns what one more rule leaves."""
        return Inside(self.space, (*self.rules, rule))

    @property
    def name(self) -> str:
        return self.space.name

    @property
    def id(self) -> str:
        return self.space.id

    @property
    def ref(self) -> str:
        return ""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.space.slots

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.space.features

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns one of `DRAWS` fixed draws of the space's sampler that lies inside.

        Raises:
            ToolError: if none does.
        """
        inside = _drawn_inside(self)
        return inside[rng.integers(len(inside))]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a random neighbour that lies inside, or a draw where there is none."""
        near = self.neighbours(architecture)
        return near[rng.integers(len(near))] if near else self.sample(rng)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the neighbours that lie inside."""
        return self.region.neighbours(architecture)

    def parse(self, spec: Any) -> Architecture:
        """Returns the architecture of untrusted data, whether it lies inside or not."""
        return self.space.parse(spec)

    def canonical(self, architecture: Architecture) -> Architecture:
        return self.space.canonical(architecture)

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical architectures."""
        return self.space.featurise(architectures)

    def members(self) -> Sequence[Architecture] | None:
        """Returns the members of the space that lie inside."""
        members = self.space.members()
        if members is None:
            return None
        mask = self.region.mask(self.space.featurise(members))
        return [member for member, inside in zip(members, mask.tolist(), strict=True) if inside]

    def describe(self) -> str:
        return self.space.describe()

    def draw(self, architecture: Architecture) -> str:
        """Returns a drawing in plain text."""
        return self.space.draw(architecture)


@lru_cache(maxsize=8)
def _drawn_inside(left: Inside) -> list[Architecture]:
    mask = left.region.mask(reference_features(left.space, DRAWS))
    drawn = reference_sample(left.space, DRAWS)
    found = [one for one, inside in zip(drawn, mask.tolist(), strict=True) if inside]
    if not found:
        raise ToolError(f"none of {DRAWS:,} draws of space {left.name} satisfies all rules")
    return found
