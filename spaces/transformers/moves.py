"""Small changes of a FlexiBERT architecture, by what they change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vitruvius.spaces.transformers.form import Layers, Menu


def moves(layers: Layers, menu: Menu) -> dict[str, list[Layers]]:
    """Returns the changed layers by part: one choice of one layer, two neighbours swapped, depth.

    The lists may hold the layers themselves, and what is equal to them.
    """
    found = {name: list(_one_choice(layers, name, menu)) for name in menu.of_layer}
    if not menu.hidden_by_layer:
        found["hidden"] = [
            tuple(replace(layer, hidden=width) for layer in layers) for width in menu.hidden
        ]
    found["order"] = list(_swapped(layers))
    found["depth"] = [
        changed
        for depth in menu.depths
        if depth != len(layers)
        for changed in _resized(layers, depth)
    ]
    return found


def _one_choice(layers: Layers, name: str, menu: Menu) -> Iterator[Layers]:
    for place, layer in enumerate(layers):
        for choice in menu.of_layer[name]:
            changed = replace(layer, **{name: choice})
            yield (*layers[:place], changed, *layers[place + 1 :])


def _swapped(layers: Layers) -> Iterator[Layers]:
    for place in range(len(layers) - 1):
        first, second = layers[place : place + 2]
        yield (*layers[:place], second, first, *layers[place + 2 :])


def _resized(layers: Layers, depth: int) -> Iterator[Layers]:
    """Yields stretched (or thinned out) layers, repeated ones, the first and the last ones."""
    yield tuple(layers[place * len(layers) // depth] for place in range(depth))
    if depth > len(layers):
        yield tuple(layers[place % len(layers)] for place in range(depth))
    else:
        yield layers[:depth]
        yield layers[-depth:]
