"""Regions: what is left of a space after cuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.rules import Rule, check_rule, holds
from vitruvius.spaces.space import REFERENCE_DRAWS, Architecture, BoolArray, FloatArray, SearchSpace
from vitruvius.spaces.space import reference_features as reference_features
from vitruvius.spaces.space import reference_sample as reference_sample

MIN_FRACTION = 0.001  # below, a draw inside takes more than a thousand tries
MIN_MEMBERS = 20
CLOSE_DRAWS = 20_000  # where the reference sample leaves too few inside to tell
SAMPLE_TRIES = 20_000  # at `MIN_FRACTION` all of them miss with a chance of 2e-9
BATCH = 50  # draws tested at once


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One reason why architectures are left out: those that do not satisfy the rule."""

    number: int
    rule: Rule
    principle: str  # the version that licensed it, P7.3
    reason: str
    provisional: bool = False  # rests on other runs' evidence only


@dataclass(frozen=True)
class Region:
    """A space and the cuts in force. Cuts are values: `without` undoes one."""

    space: SearchSpace
    cuts: tuple[Cut, ...] = ()

    def mask(self, features: FloatArray) -> BoolArray:
        """Returns which rows of a feature matrix lie inside."""
        inside = np.ones(len(features), dtype=np.bool_)
        for cut in self.cuts:
            inside &= holds(cut.rule, self.space, features)
        return inside

    def contains(self, architecture: Architecture) -> bool:
        return bool(self.mask(self.space.featurise([architecture]))[0])

    def fraction(self) -> float:
        """Returns the share of the space's own sampler that lies inside (a sample's estimate)."""
        return float(self.mask(reference_features(self.space)).mean())

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns one draw of the space's sampler that lies inside.

        Raises:
            ToolError: after `SAMPLE_TRIES` rejected draws.
        """
        if not self.cuts:
            return self.space.sample(rng)
        for _ in range(SAMPLE_TRIES // BATCH):
            drawn = [self.space.sample(rng) for _ in range(BATCH)]
            inside = self.mask(self.space.featurise(drawn))
            if inside.any():
                return drawn[int(inside.argmax())]
        raise ToolError(
            f"no architecture inside the region in {SAMPLE_TRIES} draws; undo a cut to widen it"
        )

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the neighbours that lie inside."""
        near = self.space.neighbours(architecture)
        if not near or not self.cuts:
            return near
        mask = self.mask(self.space.featurise(near))
        return [neighbour for neighbour, inside in zip(near, mask, strict=True) if inside]

    def with_cut(self, cut: Cut) -> Region:
        """Returns the region after one more cut.

        Raises:
            ToolError: if the rule does not fit the space, or what would be left is below
                `MIN_FRACTION` of the space or `MIN_MEMBERS` architectures.
            ConfigError: if a cut in force has the same number.
        """
        if any(cut.number == other.number for other in self.cuts):
            raise ConfigError(f"there is a cut {cut.number} already; number cuts without repeats")
        check_rule(cut.rule, self.space)
        region = replace(self, cuts=(*self.cuts, cut))
        refusal = region.too_small()
        if refusal is not None:
            raise ToolError(f"cut refused: {refusal}")
        return region

    def without(self, number: int) -> Region:
        """Returns the region with one cut undone."""
        return replace(self, cuts=tuple(cut for cut in self.cuts if cut.number != number))

    def too_small(self) -> str | None:
        """Returns why what is left is too small to search, or None."""
        draws = REFERENCE_DRAWS
        if self.fraction() * draws < MIN_MEMBERS:  # too few draws inside to tell: look closer
            draws = CLOSE_DRAWS
        mask = self.mask(reference_features(self.space, draws))
        share = float(mask.mean())
        if self.space.members() is not None:
            left = int(self.mask(_member_features(self.space)).sum())
        else:
            sample = reference_sample(self.space, draws)
            left = len({sample[place] for place in np.flatnonzero(mask)})
        if left < MIN_MEMBERS:
            return f"it would leave {left} architectures; at least {MIN_MEMBERS} must remain"
        if share < MIN_FRACTION:
            return (
                f"it would leave {share:.2%} of the space; at least {MIN_FRACTION:.1%} must remain"
            )
        return None


@lru_cache(maxsize=16)
def _member_features(space: SearchSpace) -> FloatArray:
    members: Sequence[Architecture] | None = space.members()
    assert members is not None
    return space.featurise(members)
