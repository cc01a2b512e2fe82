"""Spaces of fixed form: every architecture fills the same slots."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.registry import source_of
from vitruvius.spaces.space import (
    MAX_FEATURES,
    MAX_MEMBERS,
    Architecture,
    Choice,
    Feature,
    FloatArray,
    Signature,
    Slot,
    TraitValue,
    distinct,
)

if TYPE_CHECKING:
    import torch


Build = Callable[[Architecture, Signature], "torch.nn.Module"]

MUTATION_TRIES = 64  # a change may lead to a twin, that is nowhere; then neighbours are listed

Traits = Mapping[str, TraitValue]


class SlotSpace:
    """A search space of fixed form. Instantiate it with slots and `build`, or subclass it.

    A subclass overrides what it knows better: `canonical` (merge what is equal; must be legal and
    idempotent), `structure` with `structure_columns` (further features), `build`, `draw`.
    """

    def __init__(
        self,
        name: str,
        slots: Sequence[Slot],
        *,
        build: Build | None = None,
        description: str = "",
        options: Mapping[str, str | int | float] | None = None,
        shares: Sequence[Traits] | None = None,
        ref: str = "",
    ) -> None:
        """Makes the space.

        Args:
            name: the family, by which principles are scoped.
            slots: each with a unique name and at least one choice.
            build: makes a network of an architecture and a signature.
            description: one paragraph for people and models: what the slots are part of.
            options: whatever else changes what is built; becomes part of `id`.
            shares: traits whose share of slots is a feature; by default every trait that choices
                of at least two slots carry.
            ref: the text from which the space is loaded again; `load_space` fills it in for a
                user's file. Empty: the object must be given again to continue a run.

        Raises:
            ConfigError: if names repeat, a slot is empty, or there would be more than
                `MAX_FEATURES` features.
        """
        self.name = name
        self.slots = tuple(slots)
        self.description = description
        self.options = dict(options or {})
        self.shares = tuple(common_traits(self.slots) if shares is None else shares)
        self.ref = ref
        if build is not None:
            _check_build(name, build)
            vars(self)["build"] = build  # absent otherwise: then this is no Builder
        self._check()

    def _check(self) -> None:
        if not self.slots:
            raise ConfigError(f"space {self.name!r} needs at least one slot")
        _refuse_repeats(f"slots of space {self.name!r}", [slot.name for slot in self.slots])
        for slot in self.slots:
            if not slot.choices:
                raise ConfigError(f"slot {slot.name!r} of space {self.name!r} has no choices")
            _refuse_repeats(f"choices of slot {slot.name!r}", slot.names)
        if len(self.features) > MAX_FEATURES:
            raise ConfigError(
                f"space {self.name!r} would have {len(self.features)} features, at most"
                f" {MAX_FEATURES} are allowed; give ordinal choices a value or merge slots"
            )
        _refuse_repeats(f"features of space {self.name!r}", [f.name for f in self.features])

    @cached_property
    def id(self) -> str:
        """The name and a hash of slots, options, class and, where it is a user's, source code."""
        slots = [[slot.name, [[c.name, c.value] for c in slot.choices]] for slot in self.slots]
        sources = [source_of(type(self)), source_of(vars(self).get("build"))]
        made = [self.name, slots, self.options, type(self).__qualname__, sources]
        text = json.dumps(made, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSpace) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form of one draw, uniform in every slot."""
        spec = {slot.name: slot.names[rng.integers(len(slot.names))] for slot in self.slots}
        return self.canonical(Architecture.of(spec))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form after a random change of one slot; never the same.

        Raises:
            ToolError: if no change of one slot gives another architecture.
        """
        for _ in range(MUTATION_TRIES):
            slot = self.slots[rng.integers(len(self.slots))]
            choice = slot.names[rng.integers(len(slot.names))]
            changed = self.canonical(Architecture.of({**architecture.spec, slot.name: choice}))
            if changed != architecture:
                return changed
        near = self.neighbours(architecture)
        if not near:
            raise ToolError(f"no change of one slot leads from {architecture} to another")
        return near[rng.integers(len(near))]

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the distinct canonical architectures that one change of a slot leads to."""
        changes = (
            self.canonical(Architecture.of({**architecture.spec, slot.name: choice}))
            for slot in self.slots
            for choice in slot.names
        )
        return [changed for changed in distinct(changes) if changed != architecture]

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the one architecture that stands for all that are equal to this one."""
        return architecture

    def parse(self, spec: Any) -> Architecture:
        """Returns the canonical architecture of untrusted data: an object slot -> choice.

        Raises:
            ToolError: names every part that is wrong and what is allowed there.
        """
        if not isinstance(spec, Mapping):
            raise ToolError(
                f"expected an object with a choice for each of {', '.join(self._choices)},"
                f" got {spec!r:.80}"
            )
        problems = [
            f"there is no slot {name!r:.40}; the slots are {', '.join(self._choices)}"
            for name in spec
            if name not in self._choices
        ]
        chosen = {}
        for slot in self.slots:
            found = _choice(slot, spec[slot.name]) if slot.name in spec else None
            if found is None:
                got = f"not {spec[slot.name]!r:.40}" if slot.name in spec else "but is missing"
                problems.append(f"slot {slot.name} must be one of {', '.join(slot.names)}, {got}")
            else:
                chosen[slot.name] = found
        if problems:
            raise ToolError("; ".join(problems))
        return self.canonical(Architecture.of(chosen))

    @cached_property
    def _choices(self) -> dict[str, dict[str, int]]:
        return {slot.name: {n: i for i, n in enumerate(slot.names)} for slot in self.slots}

    def members(self) -> Sequence[Architecture] | None:
        """Returns all canonical architectures, or None above `MAX_MEMBERS` combinations."""
        if math.prod(len(slot.choices) for slot in self.slots) > MAX_MEMBERS:
            return None
        if "_members" not in vars(self):
            names = [slot.name for slot in self.slots]
            combinations = itertools.product(*(slot.names for slot in self.slots))
            raw = (Architecture.of(dict(zip(names, c, strict=True))) for c in combinations)
            self._members = tuple(distinct(self.canonical(architecture) for architecture in raw))
        return self._members

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """One bool per choice of a slot, one number per ordinal slot, shares, structure."""
        return (*slot_features(self.slots, self.shares), *self.structure())

    def structure(self) -> tuple[Feature, ...]:
        """Returns further features, computed by `structure_columns`."""
        return ()

    def structure_columns(self, indices: NDArray[np.int64]) -> FloatArray:
        """Returns the columns [N, len(structure())] for choice indices [N, slots]."""
        return np.empty((len(indices), 0))

    def indices(self, architectures: Sequence[Architecture]) -> NDArray[np.int64]:
        """Returns which choice each slot holds, by position: [N, slots]."""
        rows = [
            [places[a.spec[name]] for name, places in self._choices.items()] for a in architectures
        ]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.slots))

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical architectures."""
        indices = self.indices(architectures)
        by_slot = slot_columns(self.slots, self.shares, indices)
        return np.hstack([by_slot, self.structure_columns(indices)])

    def describe(self) -> str:
        """Returns the description for people and models: form, slots, choices, features."""
        lines = [f"Space {self.name}. {self.description}".strip(), "", "Slots and choices:"]
        for names, text in _grouped((slot.name, _choices_text(slot)) for slot in self.slots):
            lines.append(f"- {', '.join(names)}{text}")
        lines += ["", "An architecture is an object with one choice for each slot.", ""]
        lines.append("Features (and SLOT=CHOICE, a bool, for every choice without a number):")
        shown = ((f.name, f" [{f.kind}]: {f.description}") for f in self.features if not f.choice)
        lines += [f"- {'; '.join(names)}{text}" for names, text in _grouped(shown)]
        return "\n".join(lines)

    def draw(self, architecture: Architecture) -> str:
        """Returns a drawing in plain text: one line for each slot."""
        width = max((len(slot.name) for slot in self.slots), default=0)
        return "\n".join(f"{s.name:<{width}}  {architecture.spec[s.name]}" for s in self.slots)


def _check_build(name: str, build: Build) -> None:
    """Checks that a user's function takes what it will be given, before anything is spent.

    Raises:
        ConfigError: if it cannot be called with an architecture and a signature.
    """
    try:
        inspect.signature(build).bind(None, None)
    except TypeError as error:
        raise ConfigError(
            f"build of space {name!r} must take two arguments, an architecture and a Signature "
            f"(signature.input_shape, signature.outputs, ...): {error}"
        ) from None
    except ValueError:  # a callable that has no signature to look at
        return


def _choice(slot: Slot, given: Any) -> str | None:
    """Returns the name of the choice that is given by name or by its number."""
    for choice in slot.choices:
        if given == choice.name:
            return choice.name
        if choice.value is not None and not isinstance(given, bool) and given == choice.value:
            return choice.name
    return None


def _choices_text(slot: Slot) -> str:
    about = f" ({slot.description})" if slot.description else ""
    return f"{about}: {', '.join(_described(choice) for choice in slot.choices)}"


def _described(choice: Choice) -> str:
    traits = ", ".join(f"{key}={value}" for key, value in choice.traits.items())
    return f"{choice.name} ({traits})" if traits else choice.name


def _grouped(named: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Returns each text with all names that it belongs to, first seen first."""
    groups: dict[str, list[str]] = {}
    for name, text in named:
        groups.setdefault(text, []).append(name)
    return [(names, text) for text, names in groups.items()]


def _refuse_repeats(what: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"{what} must have different names; repeated: {', '.join(repeated)}")


def slot_features(slots: Sequence[Slot], shares: Sequence[Traits]) -> list[Feature]:
    """Returns one bool per choice, one number per ordinal slot, one share per set of traits."""
    found: list[Feature] = []
    for slot in slots:
        if slot.is_ordinal:
            about = slot.description or f"the number at {slot.name}"
            found.append(Feature(name=slot.name, kind="ordinal", description=about, slot=slot.name))
        else:
            found.extend(_choice_feature(slot, choice) for choice in slot.names)
    return found + [_share_feature(traits, len(slots)) for traits in shares]


def slot_columns(
    slots: Sequence[Slot], shares: Sequence[Traits], indices: NDArray[np.int64]
) -> FloatArray:
    """Returns the columns of `slot_features` for choice indices [N, slots]."""
    columns: list[FloatArray] = [np.empty((len(indices), 0))]
    for slot, chosen in zip(slots, indices.T, strict=True):
        if slot.is_ordinal:
            values = np.array([[choice.value] for choice in slot.choices], dtype=np.float64)
        else:
            values = np.eye(len(slot.choices))
        columns.append(values[chosen])
    for traits in shares:
        carries = [
            np.array([_carries(choice, traits) for choice in slot.choices])[chosen]
            for slot, chosen in zip(slots, indices.T, strict=True)
        ]
        columns.append(np.mean(carries, axis=0)[:, None])
    return np.hstack(columns)


def common_traits(slots: Sequence[Slot]) -> list[Traits]:
    """Returns each single trait that choices of at least two slots carry."""
    carriers: dict[tuple[str, TraitValue], set[str]] = {}
    for slot in slots:
        for choice in slot.choices:
            for item in choice.traits.items():
                carriers.setdefault(item, set()).add(slot.name)
    return [{key: value} for (key, value), names in carriers.items() if len(names) > 1]


def _choice_feature(slot: Slot, choice: str) -> Feature:
    return Feature(
        name=f"{slot.name}={choice}",
        kind="bool",
        description=f"{slot.name} is {choice}",
        slot=slot.name,
        choice=choice,
    )


def _share_feature(traits: Traits, slots: int) -> Feature:
    text = ", ".join(f"{key}={value}" for key, value in traits.items())
    return Feature(
        name=f"share({text})",
        kind="share",
        description=f"share of the {slots} slots whose choice has {text}",
    )


def _carries(choice: Choice, traits: Traits) -> bool:
    return all(choice.traits.get(key) == value for key, value in traits.items())
