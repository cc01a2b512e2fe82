"""The FlexiBERT spaces: transformer encoders with an operation of its own in each layer.

Tuli et al. 2022, arXiv:2205.11656; Serianni & Kalita 2023, arXiv:2306.00288, who scored and
trained 500 architectures of the smaller one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vitruvius.errors import ConfigError
from vitruvius.spaces.space import (
    Architecture,
    Feature,
    FloatArray,
    NetworkKind,
    Signature,
    Slot,
    distinct,
)
from vitruvius.spaces.transformers.features import (
    EMBEDDING,
    feature_columns,
    featurised,
    network_params,
)
from vitruvius.spaces.transformers.form import (
    FULL,
    KINDS,
    OPERATIONS,
    SUBSPACE,
    BuiltAs,
    BuiltLayer,
    Kind,
    Layer,
    Layers,
    built_layers,
    layers_of,
    moves,
    without_idle_choices,
    without_transforms,
    written,
)
from vitruvius.spaces.transformers.text import described, drawn, parsed

if TYPE_CHECKING:
    import torch

SCALES = (1, 2, 4, 8)  # every head keeps two features or more
SMALL = 8  # for a CPU
MOST_DROPOUT = 90


class FlexiBert:
    """The smaller space. It has no slots, as networks differ in their number of layers."""

    name = "flexibert"
    builds: NetworkKind = "transformer"  # which proxies say something
    learning_rate = 0.005  # at four times that, networks of four layers stay where they began
    menu = SUBSPACE
    built_as: BuiltAs = "specified"
    slots: tuple[Slot, ...] = ()

    def __init__(
        self, *, scale: int = SMALL, dropout: int = 0, causal: Literal["no", "yes"] = "no"
    ) -> None:
        """Makes the space.

        Args:
            scale: 1, 2, 4 or 8: divides hidden, feed-forward and embedding widths. Published: 1.
            dropout: in percent. Published: 10.
            causal: `yes` leaves out the transforms, which cannot predict the next token.

        Raises:
            ConfigError: if an option has another value.
        """
        if scale not in SCALES:
            raise ConfigError(f"option scale must be one of 1, 2, 4, 8, got {scale!r}")
        if not isinstance(dropout, int) or not 0 <= dropout <= MOST_DROPOUT:
            raise ConfigError(
                f"option dropout must be whole percent from 0 to {MOST_DROPOUT}, got {dropout!r}"
            )
        if causal not in ("no", "yes"):
            raise ConfigError(f"option causal must be yes or no, got {causal!r}")
        self.scale, self.dropout, self.causal = scale, dropout, causal
        if causal == "yes":
            self.menu = without_transforms(self.menu)
        options = {"scale": (scale, SMALL), "dropout": (dropout, 0), "causal": (causal, "no")}
        changed = ",".join(f"{key}={now}" for key, (now, usual) in options.items() if now != usual)
        self.ref = f"{self.name}:{changed}" if changed else self.name

    @cached_property
    def id(self) -> str:
        """The name and a hash of the options."""
        text = json.dumps([self.name, self.scale, self.dropout, self.causal])
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlexiBert) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<FlexiBert {self.id}>"

    def __getstate__(self) -> dict[str, Any]:
        kept = {
            "scale",
            "dropout",
            "causal",
            "menu",
            "ref",
        }  # what is cached holds functions that cannot travel
        return {name: value for name, value in vars(self).items() if name in kept}

    @property
    def features(self) -> tuple[Feature, ...]:
        """Depth, sizes and shares of operations; of the first and last layer also by themselves."""
        return tuple(feature for feature, _ in self._columns)

    @cached_property
    def _columns(self) -> list[Any]:
        return feature_columns(self.menu, self.built_as)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form of one draw: each choice uniform, each layer by itself.

        Of the operation, the kind is drawn first, as in the published sampler.
        """

        def pick(choices: Sequence[Any]) -> Any:
            return choices[int(rng.integers(len(choices)))]

        menu = self.menu
        kinds = [kind for kind in KINDS if any(OPERATIONS[o] == kind for o in menu.operations)]
        hidden, depth = pick(menu.hidden), pick(menu.depths)
        layers = []
        for _ in range(depth):
            kind: Kind = pick(kinds)
            layers.append(
                Layer(
                    hidden=pick(menu.hidden) if menu.hidden_by_layer else hidden,
                    operation=pick([one for one in menu.operations if OPERATIONS[one] == kind]),
                    heads=pick(menu.heads),
                    ff_width=pick(menu.ff_widths),
                    ff_layers=pick(menu.ff_layers),
                )
            )
        return self._canonical(tuple(layers))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the architecture with choices that have no effect set to the first."""
        return self._canonical(layers_of(architecture))

    def _canonical(self, layers: Layers) -> Architecture:
        return written(without_idle_choices(layers, self.menu, self.built_as), self.menu)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a random neighbour; never the same.

        What is changed (hidden size, operation, heads, feed-forward width or layers, order, depth)
        is drawn first, so that rare kinds of change are tried as often as others.
        """
        parts = [near for near in self._moves(architecture) if near]
        near = parts[rng.integers(len(parts))]
        return near[rng.integers(len(near))]

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the distinct architectures one change away, in a fixed order."""
        return distinct(itertools.chain.from_iterable(self._moves(architecture)))

    def _moves(self, architecture: Architecture) -> list[list[Architecture]]:
        found = moves(layers_of(architecture), self.menu)
        return [
            [near for near in distinct(map(self._canonical, part)) if near != architecture]
            for part in found.values()
        ]

    def parse(self, spec: Any) -> Architecture:
        """Returns the canonical architecture of untrusted data.

        Raises:
            ToolError: names every part that is wrong and what is allowed there.
        """
        return self._canonical(parsed(spec, self.menu))

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical architectures."""
        return featurised(self._columns, [layers_of(one) for one in architectures])

    def members(self) -> Sequence[Architecture] | None:
        """Returns None: there are 7,500,064 architectures, in the full space many more."""
        return None

    @property
    def nominal_size(self) -> int:
        """The number of specifications, as papers count them."""
        hidden, layers = self.menu.hidden, math.prod(map(len, self.menu.of_layer.values()))
        combined: int = sum(layers**depth for depth in self.menu.depths)
        return combined if self.menu.hidden_by_layer else len(hidden) * combined

    def specifications(self, architecture: Architecture) -> int:
        """Returns how many specifications have this canonical form."""
        return math.prod(self._twins[layer] for layer in layers_of(architecture))

    @cached_property
    def _twins(self) -> Counter[Layer]:
        """How many layers are reduced to each."""
        names, hidden = list(self.menu.of_layer), self.menu.hidden
        common: list[dict[str, Any]] = [{"hidden": width} for width in hidden]
        if self.menu.hidden_by_layer:
            common = [{}]
        layers = tuple(
            Layer(**one, **dict(zip(names, choices, strict=True)))
            for one in common
            for choices in itertools.product(*self.menu.of_layer.values())
        )
        return Counter(without_idle_choices(layers, self.menu, self.built_as))

    def describe(self) -> str:
        """Returns the description for people and models."""
        return described(self.name, self.menu, self.built_as, self.features)

    def draw(self, architecture: Architecture) -> str:
        """Returns a drawing in plain text: one line for each layer, widths in published units."""
        return drawn(built_layers(layers_of(architecture), self.built_as))

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network for tokens, or for values of shape (channels, ...).

        Every position of an image or a series is a token. The deviation of initial weights is the
        published 0.02, times sqrt(scale) so that a layer's outputs keep their size.

        Raises:
            ConfigError: if it must not look ahead and has a transform, or the inputs have another
                shape.
        """
        from vitruvius.spaces.builders.transformer import DEVIATION, Transformer

        return Transformer(
            [asdict(layer) for layer in self._built(architecture)],
            asdict(signature),
            embedding=EMBEDDING // self.scale,
            deviation=DEVIATION * math.sqrt(self.scale),
            dropout=self.dropout / 100,
        )

    def params(self, architecture: Architecture, signature: Signature) -> int:
        """Returns the number of parameters of what `build` returns, without building it."""
        return network_params(self._built(architecture), signature, EMBEDDING // self.scale)

    def _built(self, architecture: Architecture) -> tuple[BuiltLayer, ...]:
        return built_layers(layers_of(architecture), self.built_as, self.scale)


class FlexiBertFull(FlexiBert):
    """The space of Tuli et al.: more choices, and a hidden size for each layer."""

    name = "flexibert_full"
    menu = FULL


class FlexiBertTrained(FlexiBert):
    """The networks behind the published scores: 2,664 for 10,621,440 specifications.

    In all of them every operation was scaled dot-product attention, and the feed-forward width was
    used for extra layers only. Architectures are written as in `FlexiBert`.
    """

    name = "flexibert_trained"
    built_as: BuiltAs = "trained"

    def __init__(self, *, scale: int = SMALL, dropout: int = 0) -> None:
        """Makes the space; the options are those of `FlexiBert`.

        Raises:
            ConfigError: if an option has another value.
        """
        super().__init__(scale=scale, dropout=dropout)

    def members(self) -> Sequence[Architecture]:
        """Returns all canonical architectures."""
        if "_members" not in vars(self):
            self._members = tuple(self._combined())
        return self._members

    def _combined(self) -> Iterator[Architecture]:
        names = list(self.menu.of_layer)
        for hidden in self.menu.hidden:
            layers = tuple(
                Layer(hidden=hidden, **dict(zip(names, choices, strict=True)))
                for choices in itertools.product(*self.menu.of_layer.values())
            )
            different = dict.fromkeys(without_idle_choices(layers, self.menu, self.built_as))
            for depth in self.menu.depths:
                for combined in itertools.product(different, repeat=depth):
                    yield written(combined, self.menu)
