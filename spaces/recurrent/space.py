"""The recurrent cells of NAS-Bench-NLP as a search space of graphs.

Klyuchnikov et al. 2020, arXiv:2006.07116. Cells are stacked to a network that reads a sequence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.recurrent.canonical import canonical_graph
from vitruvius.spaces.recurrent.features import FEATURES, feature_row, short
from vitruvius.spaces.recurrent.graph import (
    MAX_NODES,
    MAX_STATES,
    OPERATIONS,
    Graph,
    direct_reads,
    from_recipe,
    in_order,
    read_recipe,
    to_recipe,
)
from vitruvius.spaces.recurrent.moves import MOVES, checked, sample_graph
from vitruvius.spaces.space import (
    Architecture,
    Feature,
    FloatArray,
    NetworkKind,
    Signature,
    Slot,
    distinct,
)

if TYPE_CHECKING:
    import torch

RecurrentWeights = Literal["trained", "frozen"]
Reading = Literal["last", "mean"]
DEFAULTS = {
    "layers": 2,
    "hidden": 64,
    "embedding": 32,
    "recurrent_weights": "trained",
    "reading": "last",
}

_DESCRIPTION = f"""\
Space recurrent. Recurrent cells as graphs, stacked to a network that reads a sequence step by step.
An architecture is a recipe: an object from the name of each node to its operation and inputs.

  {{"node_0": {{"op": "linear", "input": ["x", "h_prev_0"]}},
   "h_new_0": {{"op": "activation_tanh", "input": ["node_0"]}}}}

Inputs are nodes, x (the step's input, read by linear only) and h_prev_i (a hidden state as the
step before left it). The nodes h_new_0, h_new_1, ... (at most {MAX_STATES}) are the new states;
h_new_0 is also the output. x and every h_prev_i must reach some h_new_i. At most {MAX_NODES}
nodes. Operations:
- linear: 2 or 3 inputs, a weight matrix for each and one bias
- blend: 3 inputs, a * b + (1 - a) * c
- elementwise_prod, elementwise_sum: 2 inputs
- activation_tanh, activation_sigm, activation_leaky_relu: 1 input
Names, and the order of inputs other than a blend's, do not matter."""


class Recurrent:
    """Recurrent cells in a network of some layers, with an embedding or a linear layer in front."""

    name = "recurrent"
    builds: NetworkKind = "recurrent"  # which proxies say something
    slots: tuple[Slot, ...] = ()
    features: tuple[Feature, ...] = FEATURES

    def __init__(
        self,
        *,
        layers: int = 2,
        hidden: int = 64,
        embedding: int = 32,
        recurrent_weights: RecurrentWeights = "trained",
        reading: Reading = "last",
    ) -> None:
        """Makes the space.

        Args:
            layers: cells on top of each other.
            hidden: units of each layer; of a language model's last layer, as many as `embedding`.
            embedding: width of what the first layer reads.
            recurrent_weights: `frozen` keeps every weight matrix that is not fed by x as it was
                initialised. So the published benchmark was trained, by a fault of its weight drop.
            reading: what a network with one answer for a sequence judges by: the last output
                of the last layer, or the mean over steps. Published size: layers=3, hidden=600,
                embedding=400.

        Raises:
            ConfigError: if a number is below 1 or a word is unknown.
        """
        self.options = {
            "layers": layers,
            "hidden": hidden,
            "embedding": embedding,
            "recurrent_weights": recurrent_weights,
            "reading": reading,
        }
        for name in ("layers", "hidden", "embedding"):
            value = self.options[name]
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"option {name} must be a whole number from 1, got {value!r}")
        for name, words in (
            ("recurrent_weights", get_args(RecurrentWeights)),
            ("reading", get_args(Reading)),
        ):
            if self.options[name] not in words:
                raise ConfigError(
                    f"option {name} must be {' or '.join(words)}, got {self.options[name]!r}"
                )
        self.layers, self.hidden, self.embedding = layers, hidden, embedding
        self.recurrent_weights: RecurrentWeights = recurrent_weights
        self.reading: Reading = reading
        changed = ",".join(f"{k}={v}" for k, v in self.options.items() if v != DEFAULTS[k])
        self.ref = f"recurrent:{changed}" if changed else "recurrent"

    @cached_property
    def id(self) -> str:
        """The name and a hash of the options."""
        text = json.dumps([self.name, self.options], sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recurrent) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Recurrent {self.id}>"

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Returns the canonical form of one draw of the published sampler."""
        return _canonical(sample_graph(rng))

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Returns the cell after one move of a random kind; never the same.

        Raises:
            ToolError: if no move leads to another cell.
        """
        graph = from_recipe(architecture.spec)
        for kind in rng.permutation(len(MOVES)):
            moved = list(MOVES[kind](graph))
            for place in rng.permutation(len(moved)):
                left = checked(moved[place], direct_reads(graph))
                found = None if left is None else _canonical(left)
                if found is not None and found != architecture:
                    return found
        raise ToolError(f"no move leads from {architecture} to another cell")

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns the distinct cells one move away: see `recurrent_moves`."""
        near = distinct(self._near(from_recipe(architecture.spec)))
        return [each for each in near if each != architecture]

    def _near(self, graph: Graph) -> Iterator[Architecture]:
        most = direct_reads(graph)
        for move in MOVES:
            for moved in move(graph):
                left = checked(moved, most)
                if left is not None:
                    yield _canonical(left)

    def parse(self, spec: Any) -> Architecture:
        """Returns the canonical cell of a recipe, as data or as JSON text.

        Raises:
            ToolError: says which node is wrong and what is allowed there.
        """
        if isinstance(spec, str):
            try:
                spec = json.loads(spec)
            except ValueError as error:
                raise ToolError(f"expected a recipe as JSON, got {spec!r:.80}: {error}") from None
        return _canonical(read_recipe(spec))

    def canonical(self, architecture: Architecture) -> Architecture:
        """Returns the one recipe of all that build the same network."""
        return _canonical_text(architecture.text)

    def featurise(self, architectures: Sequence[Architecture]) -> FloatArray:
        """Returns the feature matrix [N, F] of canonical cells."""
        rows = [_features(architecture.text) for architecture in architectures]
        return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))

    def members(self) -> None:
        """Returns None: there are too many cells."""
        return

    def describe(self) -> str:
        """Returns the description for people and models: form, operations, features."""
        lines = (f"- {each.name} [{each.kind}]: {each.description}" for each in FEATURES)
        return "\n".join([_DESCRIPTION, "", "Features:", *lines])

    def draw(self, architecture: Architecture) -> str:
        """Returns the cell as one equation a line, each node after its inputs."""
        graph = from_recipe(architecture.spec)
        return "\n".join(f"{name} = {_equation(graph, name)}" for name in in_order(graph))

    def build(self, architecture: Architecture, signature: Signature) -> torch.nn.Module:
        """Returns an initialised network for tokens [T], series [C, L] or images, row by row.

        The recipe is built as it is written, in canonical form or not.

        Raises:
            ConfigError: if the input has another form.
        """
        from vitruvius.spaces.builders.recurrent import RecurrentNetwork

        return RecurrentNetwork(
            architecture.spec,
            signature.input_shape,
            signature.outputs,
            vocabulary=signature.vocabulary,
            per_token=signature.per_token,
            layers=self.layers,
            hidden=self.hidden,
            embedding=self.embedding,
            is_frozen=self.recurrent_weights == "frozen",
            reading=self.reading,
        )


def _equation(graph: Graph, name: str) -> str:
    op, inputs = graph[name]
    if op in (OPERATIONS[2], OPERATIONS[3]):
        return (" * " if op == OPERATIONS[2] else " + ").join(inputs)
    return f"{short(op)}({', '.join(inputs)})"


def _canonical(graph: Graph) -> Architecture:
    return Architecture.of(to_recipe(canonical_graph(graph)))


@lru_cache(maxsize=50_000)
def _canonical_text(text: str) -> Architecture:
    return _canonical(read_recipe(json.loads(text)))


@lru_cache(maxsize=50_000)
def _features(text: str) -> list[float]:
    return feature_row(from_recipe(json.loads(text)))
