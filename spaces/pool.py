"""A space restricted to listed architectures, such as the rows of a sparse table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.space import (
    Architecture,
    Builder,
    Feature,
    FloatArray,
    NetworkKind,
    SearchSpace,
    Slot,
    distinct,
    network_kind,
)

NEAREST = 16  # members that count as neighbours


class Pool:
    """A search space of listed members. Moves lead to the members nearest by features.

    It has the name and id of its space: rules carry over, and results are shared, since an
    architecture builds the same network in both.
    """

    def __init__(
        self, space: SearchSpace, architectures: Iterable[Architecture], *, ref: str = ""
    ) -> None:
        """Makes the pool of the canonical forms of the architectures.

        Raises:
            ConfigError: if none is given.
        """
        self.space = space
        self.ref = ref
        self._members = tuple(distinct(space.canonical(a) for a in architectures))
        if not self._members:
            raise ConfigError(f"a pool of space {space.name} needs at least one architecture")
        self._places = {member: place for place, member in enumerate(self._members)}
        if isinstance(space, Builder):
            vars(self)["build"] = space.build  # absent otherwise: then this is no Builder

    @property
    def name(self) -> str:
        return self.space.name

    @property
    def id(self) -> str:
        return self.space.id

    @property
    def builds(self) -> NetworkKind:
        return network_kind(self.space)

    @property
    def slots(self) -> tuple[Slot, ...]:
        return self.space.slots

    @property
    def features(self) -> tuple[Feature, ...]:
        return self.space.features

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Pool)
            and self.space == other.space
            and self._members == other._members
        )

    def __hash__(self) -> int:
        return hash((self.space, len(self._members), self._members[0]))

    def __repr__(self) -> str:
        return f"<Pool of {len(self._members)} in {self.space!r}>"

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns one member, each as likely as the others."""
        return self._members[rng.integers(len(self._members))]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns one of the nearest members; never the same.

        Raises:
            ToolError: if the pool has no other member.
        """
        near = self.neighbours(architecture)
        if not near:
            raise ToolError(f"the pool has no member besides {architecture}")
        return near[rng.integers(len(near))]

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the `NEAREST` other members, nearest first (listed first, where equal).

        Distance is the sum over features of the difference in units of the feature's range.
        """
        features, scale = _scaled(self)
        here = self.space.featurise([architecture])[0] * scale
        order = np.abs(features - here).sum(axis=1).argsort(kind="stable")[: NEAREST + 1]
        near = [self._members[place] for place in order]
        return [member for member in near if member != architecture][:NEAREST]

    def parse(self, spec: Any) -> Architecture:
        """Returns the member of untrusted JSON data.

        Raises:
            ToolError: if the data is wrong, or no member: names the nearest ones.
        """
        architecture = self.space.parse(spec)
        if architecture not in self._places:
            near = "; ".join(str(member) for member in self.neighbours(architecture)[:3])
            raise ToolError(
                f"{architecture} is not among the {len(self._members)} listed architectures;"
                f" the nearest are {near}"
            )
        return architecture

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the canonical form in the space, whether it is a member or not."""
        return self.space.canonical(architecture)

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical architectures."""
        return self.space.featurise(architectures)

    def members(self) -> Sequence[Architecture]:
        """Returns the listed architectures, in the order given."""
        return self._members

    def describe(self) -> str:
        """Returns the description of the space, and that it is restricted."""
        return (
            f"{self.space.describe()}\n\nOnly {len(self._members)} listed architectures can be"
            " chosen; moves lead to the listed ones that are nearest by features."
        )

    def draw(self, architecture: Architecture) -> str:
        """Returns a drawing in plain text."""
        return self.space.draw(architecture)


@lru_cache(maxsize=4)
def _scaled(pool: Pool) -> tuple[FloatArray, FloatArray]:
    """Returns the members' features in units of their ranges, and the factors."""
    features = pool.space.featurise(pool.members())
    spread = np.ptp(features, axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 1.0)
    return features * scale, scale
