"""Values and the interface of a search space, and the fixed sample that statistics average over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vitruvius.errors import ConfigError

if TYPE_CHECKING:
    import torch


FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NetworkKind = Literal["feed_forward", "recurrent", "transformer"]

MAX_FEATURES = 64  # each is told to people and models, and is a column of a run's model
MAX_MEMBERS = 20_000  # a space of at most so many is listed; NAS-Bench-201 writes 15,625 cells


IntArray = NDArray[np.int64]

REFERENCE_DRAWS = 2000  # a share of one half is known to 1.1 points (one standard error)


@dataclass(frozen=True, order=True)
class Architecture:
    """A frozen value owned by its space: canonical JSON text of the specification.

    Two architectures are equal when their texts are; `space.parse` and the space's moves return
    canonical ones only, so equal functions have one architecture.
    """

    text: str

    @classmethod
    def of(cls, spec: Any) -> Architecture:
        """Returns the architecture of a JSON-serialisable specification (no canonical form)."""
        return cls(json.dumps(spec, sort_keys=True, separators=(",", ":")))

    @cached_property
    def spec(self) -> Any:
        """The specification as plain JSON data; for slotted spaces a dict from slot to choice."""
        return json.loads(self.text)

    def __hash__(self) -> int:
        return hash(self.text)  # a text keeps its hash; the tuple of a dataclass does not

    def __str__(self) -> str:
        return self.text


TraitValue = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One option at a slot. `value` is set for ordinals (a width, a kernel size)."""

    name: str
    traits: Mapping[str, TraitValue] = field(default_factory=dict)
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in an architecture of fixed form and its choices; ordinal if all have values."""

    name: str
    choices: tuple[Choice, ...]
    description: str = ""

    @property
    def is_ordinal(self) -> bool:
        return all(choice.value is not None for choice in self.choices)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(choice.name for choice in self.choices)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A named, typed property of the canonical architecture, computed without building it.

    `bool` features are 0 or 1; `share` lies in [0, 1]; `count` and `ordinal` are numbers.
    A `bool` feature of a slot's choice names both.
    """

    name: str
    kind: Literal["bool", "count", "share", "ordinal"]
    description: str
    slot: str | None = None
    choice: str | None = None


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a network takes in and what it gives out.

    Networks map [B, *input_shape] to [B, outputs] or, per token, to [B, T, outputs]. Labels are
    int64, [B] or [B, T]; -100 marks a token that is not judged (masked-token modelling).

    Example:
        >>> Signature(input_shape=(3, 32, 32), outputs=10).vocabulary is None
        True
        >>> Signature(input_shape=(64,), outputs=80, vocabulary=80, per_token=True, causal=True)
        Signature(input_shape=(64,), outputs=80, vocabulary=80, per_token=True, causal=True)
    """

    input_shape: tuple[int, ...]  # of one example, without the batch
    outputs: int  # classes; of a language model, the vocabulary
    vocabulary: int | None = None  # inputs are int64 ids below it, shape (T,); None: float32 values
    per_token: bool = False  # one prediction for every token: outputs [B, T, outputs]
    causal: bool = False  # the prediction for token t may depend on tokens 0..t only


def refuse_tokens(signature: Signature, space: str) -> None:
    """Checks that a signature asks for what images and series of numbers have: one answer each.

    Raises:
        ConfigError: if the inputs are tokens, or every token needs an answer of its own.
    """
    if signature.vocabulary is not None or signature.per_token:
        raise ConfigError(
            f"space {space} builds networks for images and series of numbers, with one answer for "
            "each, not for text; use a space of recurrent networks or transformers"
        )


class SearchSpace(Protocol):
    """What can be built. Every architecture returned is canonical and legal.

    `name` is the family (`nb201`); `id` adds a hash of everything that changes what is built
    (skeleton), and keys results; `ref` is the text from which `spaces.registry.load_space`
    makes the space again (empty: the object itself must be given again).
    """

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def ref(self) -> str: ...
    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of a space of fixed form; empty for graph-shaped spaces."""
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """At most `MAX_FEATURES` structural features, in column order of `featurise`."""
        ...

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form of one draw of the space's own sampler."""
        ...

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns a random neighbour; never the same architecture."""
        ...

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the distinct architectures one move away, in a fixed order."""
        ...

    def parse(self, spec: Any) -> Architecture:
        """Returns the canonical architecture of untrusted JSON data.

        Raises:
            ToolError: says which part is wrong and what is allowed there.
        """
        ...

    def canonical(self, architecture: Architecture) -> Architecture: ...

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical architectures."""
        ...

    def members(self) -> Sequence[Architecture] | None:
        """All canonical architectures where there are at most about `MAX_MEMBERS`; else None."""
        ...

    def describe(self) -> str:
        """Returns the description for people and models: form, slots, choices, features."""
        ...

    def draw(self, architecture: Architecture) -> str:
        """Returns a drawing in plain text."""
        ...


@runtime_checkable
class Builder(Protocol):
    """A space whose architectures become networks (torch is imported inside `build` only)."""

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network of the signature.

        Initialisation draws from torch's global generator, which the caller seeds.

        Raises:
            ConfigError: if the space has no networks of such a signature, in one sentence.
        """
        ...


def network_kind(space: SearchSpace) -> NetworkKind:
    """Returns what kind of networks a space builds, as its attribute `builds` says."""
    kind: NetworkKind = getattr(space, "builds", "feed_forward")
    return kind


def distinct(architectures: Iterable[Architecture]) -> list[Architecture]:
    """Returns the architectures without repeats, first seen first."""
    return list(dict.fromkeys(architectures))


@lru_cache(maxsize=16)
def reference_sample(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> tuple[Architecture, ...]:
    """Returns that many draws of the space's own sampler, seed 0, repeats included."""
    rng = np.random.default_rng(0)
    return tuple(space.sample(rng) for _ in range(draws))


@lru_cache(maxsize=16)
def distinct_reference(space: SearchSpace) -> tuple[IntArray, IntArray]:
    """Returns where each different architecture of `reference_sample` first stands, and which.

    `sample[first][which]` is the sample: what costs much is computed once for each. Half of the
    draws of a small space are repeats.
    """
    sample = reference_sample(space)
    order = {architecture: i for i, architecture in enumerate(dict.fromkeys(sample))}
    which = np.array([order[architecture] for architecture in sample])
    return np.unique(which, return_index=True)[1], which


@lru_cache(maxsize=16)
def reference_features(space: SearchSpace, draws: int = REFERENCE_DRAWS) -> FloatArray:
    """Returns the feature matrix of `reference_sample`."""
    return space.featurise(reference_sample(space, draws))
