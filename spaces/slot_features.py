"""Features of slotted spaces that follow from the slots alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vitruvius.spaces.space import Choice, Feature, FloatArray, Slot, TraitValue

Traits = Mapping[str, TraitValue]


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
