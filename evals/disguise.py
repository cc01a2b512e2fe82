"""A space under other labels: does anything rest on the words?

`renamed` gives slots, choices and features new names; traits and structure stay, so whatever reads
them must do the same as before. `hidden` takes traits, structure and meaning away too: what is left
are slots with numbered choices. Moves and canonical forms stay those of the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, cast

import numpy as np

from vitruvius.evals.oracle import Truth
from vitruvius.spaces.slots import SlotSpace
from vitruvius.spaces.space import Architecture, Choice, Feature, FloatArray, SearchSpace, Slot

Disguise = Literal["", "renamed", "hidden"]


class DisguisedSpace(SlotSpace):
    """A slotted space under other labels."""

    def __init__(self, space: SearchSpace, disguise: Disguise) -> None:
        self.inner = space
        self.is_hidden = disguise == "hidden"
        self._inner: dict[Architecture, Architecture] = {}
        slots = [
            Slot(
                name=f"place_{number}",
                choices=tuple(
                    Choice(
                        name=f"part_{place}",
                        traits={} if self.is_hidden else choice.traits,
                        value=choice.value,
                    )
                    for place, choice in enumerate(slot.choices)
                ),
            )
            for number, slot in enumerate(space.slots)
        ]
        super().__init__(f"{space.name}-{disguise}", slots, description="Labels mean nothing.")

    def to_inner(self, architecture: Architecture) -> Architecture:
        """Returns the architecture under its own labels."""
        if architecture not in self._inner:
            self._inner[architecture] = self._translated(architecture)
        return self._inner[architecture]

    def _translated(self, architecture: Architecture) -> Architecture:
        spec = {
            slot.name: slot.names[int(architecture.spec[f"place_{number}"].split("_")[1])]
            for number, slot in enumerate(self.inner.slots)
        }
        return self.inner.canonical(Architecture.of(spec))

    def of_inner(self, architecture: Architecture) -> Architecture:
        """Returns an architecture of the space under the other labels."""
        return Architecture.of(
            {
                f"place_{number}": f"part_{slot.names.index(architecture.spec[slot.name])}"
                for number, slot in enumerate(self.inner.slots)
            }
        )

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the space's own draw."""
        return self.of_inner(self.inner.sample(rng))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns the space's own random neighbour."""
        return self.of_inner(self.inner.mutate(self.to_inner(architecture), rng))

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the space's own neighbours."""
        return [self.of_inner(a) for a in self.inner.neighbours(self.to_inner(architecture))]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the space's own canonical form."""
        return self.of_inner(self.to_inner(architecture))

    def members(self) -> Sequence[Architecture] | None:
        """Returns the space's own members, in its order."""
        if "_listed" not in vars(self):
            members = self.inner.members()
            listed = None if members is None else tuple(map(self.of_inner, members))
            vars(self)["_listed"] = listed
        return cast("Sequence[Architecture] | None", vars(self)["_listed"])

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The space's own features; those of slots under the other labels.

        What is named after traits and structure keeps its name, as these are kept. Of a hidden
        space, the features of its slots alone.
        """
        if self.is_hidden:
            return super().features
        places = {slot.name: f"place_{number}" for number, slot in enumerate(self.inner.slots)}
        parts = {
            (slot.name, name): f"part_{place}"
            for slot in self.inner.slots
            for place, name in enumerate(slot.names)
        }
        return tuple(
            Feature(
                name=f"place_feature_{number}" if feature.slot else feature.name,
                kind=feature.kind,
                description="" if feature.slot else feature.description,
                slot=places.get(feature.slot or ""),
                choice=parts.get((feature.slot or "", feature.choice or "")),
            )
            for number, feature in enumerate(self.inner.features)
        )

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the space's own features; of hidden ones the slots' alone."""
        if self.is_hidden:
            return super().featurise(architectures)
        return self.inner.featurise([self.to_inner(a) for a in architectures])


class DisguisedTask:
    """A table's task that is asked under other labels."""

    def __init__(self, task: Any, space: DisguisedSpace) -> None:
        self._task = task
        self._space = space

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def lookup(self, architecture: Architecture, *rest: Any) -> Any:
        """Returns what is recorded."""
        return self._task.lookup(self._space.to_inner(architecture), *rest)

    def costs(self, architecture: Architecture) -> Any:
        """Returns what is known beforehand."""
        return self._task.costs(self._space.to_inner(architecture))


def disguised_truth(truth: Truth, disguise: Disguise) -> Truth:
    """Returns a truth whose space has other labels."""
    space = DisguisedSpace(truth.space, disguise)
    values = {space.of_inner(a): value for a, value in truth.values.items()}
    task: Any = DisguisedTask(truth.task, space)
    return replace(truth, space=space, task=task, values=values)
