"""What a FlexiBERT architecture is made of: layers, choices, what a choice builds, small changes.

Spaces: Tuli et al. 2022, arXiv:2205.11656; the smaller one is that of Serianni & Kalita 2023,
arXiv:2306.00288 (aaronserianni/training-free-nas, search_space.json).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from vitruvius.spaces.space import Architecture

Kind = Literal["attention", "transform", "convolution"]
BuiltAs = Literal["specified", "trained"]

OPERATIONS: dict[str, Kind] = {
    "sdp": "attention",
    "wma": "attention",
    "dft": "transform",
    "dct": "transform",
    "dsc5": "convolution",
    "dsc9": "convolution",
    "dsc13": "convolution",
}
KINDS: tuple[Kind, ...] = ("attention", "transform", "convolution")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One encoder layer as specified, widths in published units."""

    hidden: int
    operation: str
    heads: int
    ff_width: int
    ff_layers: int

    @property
    def kind(self) -> Kind:
        """What kind of operation mixes the tokens."""
        return OPERATIONS[self.operation]


Layers = tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class Menu:
    """The choices; `hidden_by_layer`: every layer has a hidden size of its own."""

    depths: tuple[int, ...]
    hidden: tuple[int, ...]
    operations: tuple[str, ...]
    heads: tuple[int, ...]
    ff_widths: tuple[int, ...]
    ff_layers: tuple[int, ...]
    hidden_by_layer: bool = False

    @property
    def of_layer(self) -> dict[str, tuple[Any, ...]]:
        """The choices of one layer by name, in the order in which a layer is written."""
        own = {"hidden": self.hidden} if self.hidden_by_layer else {}
        return {
            **own,
            "operation": self.operations,
            "heads": self.heads,
            "ff_width": self.ff_widths,
            "ff_layers": self.ff_layers,
        }


SUBSPACE = Menu(
    depths=(2, 4),
    hidden=(128, 256),
    operations=("sdp", "wma", "dft", "dct", "dsc5", "dsc9"),
    heads=(2, 4),
    ff_widths=(512, 1024),
    ff_layers=(1, 3),
)
FULL = Menu(
    depths=(2, 4, 6),
    hidden=(128, 256, 512),
    operations=tuple(OPERATIONS),
    heads=(2, 4, 8),
    ff_widths=(512, 1024, 2048, 4096),
    ff_layers=(1, 2, 3),
    hidden_by_layer=True,
)


def without_transforms(menu: Menu) -> Menu:
    """Returns the menu without the operations that must see all tokens."""
    return replace(
        menu, operations=tuple(o for o in menu.operations if OPERATIONS[o] != "transform")
    )


def layers_of(architecture: Architecture) -> Layers:
    """Returns the layers that an architecture's specification holds."""
    spec = architecture.spec
    common = {"hidden": spec["hidden"]} if "hidden" in spec else {}
    return tuple(Layer(**common, **layer) for layer in spec["layers"])


def written(layers: Layers, menu: Menu) -> Architecture:
    """Returns the architecture of layers, as they are."""
    names = list(menu.of_layer)
    rows = [{name: getattr(layer, name) for name in names} for layer in layers]
    common = {} if menu.hidden_by_layer else {"hidden": layers[0].hidden}
    return Architecture.of({**common, "layers": rows})


def without_idle_choices(layers: Layers, menu: Menu, built_as: BuiltAs) -> Layers:
    """Returns the layers with every choice that has no effect set to its first option.

    The heads of a cosine transform have none. It is applied to x W + b, over tokens and within
    each head over features; the latter multiplies W by an orthogonal matrix, which another W makes
    up for, and as the entries of W are drawn from one normal distribution, the networks at
    initialisation are equal in distribution too. (The real part of a Fourier transform
    is of rank T H / 2 + 2 heads: there, heads have an effect.) The networks behind the published
    scores ignored the operation, and the feed-forward width but for extra layers.
    """

    def reduced(layer: Layer) -> Layer:
        if built_as == "trained":
            idle = {"ff_width": menu.ff_widths[0]} if layer.ff_layers == 1 else {}
            return replace(layer, operation=menu.operations[0], **idle)
        if layer.operation == "dct":
            return replace(layer, heads=menu.heads[0])
        return layer

    return tuple(map(reduced, layers))


@dataclass(frozen=True, kw_only=True)
class BuiltLayer:
    """One encoder layer as it is built: `ff_widths` has one width for each feed-forward layer."""

    hidden: int
    operation: str
    heads: int
    ff_widths: tuple[int, ...]


def built_layers(
    layers: Sequence[Layer], built_as: BuiltAs = "specified", scale: int = 1
) -> tuple[BuiltLayer, ...]:
    """Returns what is built of layers; `scale` divides all widths.

    Example:
        >>> one = Layer(hidden=128, operation="dct", heads=2, ff_width=1024, ff_layers=2)
        >>> built_layers([one])[0].ff_widths, built_layers([one], "trained")[0].ff_widths
        ((1024, 1024), (512, 1024))
    """
    found = []
    for layer in layers:
        extra = (layer.ff_width,) * (layer.ff_layers - 1)
        first = 4 * layer.hidden if built_as == "trained" else layer.ff_width
        found.append(
            BuiltLayer(
                hidden=layer.hidden // scale,
                operation="sdp" if built_as == "trained" else layer.operation,
                heads=layer.heads,
                ff_widths=tuple(width // scale for width in (first, *extra)),
            )
        )
    return tuple(found)


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
