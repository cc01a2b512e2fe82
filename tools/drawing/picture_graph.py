"""From architectures to what a picture shows: nodes with words, edges that may have words too.

Cells, recurrent cells, stacks of blocks and of layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vitruvius.spaces.cells.cell import FourNodeSpace
from vitruvius.spaces.cells.cell_classes import EDGES
from vitruvius.spaces.macro import HALVINGS, Macro
from vitruvius.spaces.pool import Pool
from vitruvius.spaces.recurrent import graph as recurrent
from vitruvius.spaces.recurrent.space import Recurrent
from vitruvius.spaces.space import Architecture, SearchSpace
from vitruvius.spaces.transformers.form import BuiltLayer, built_layers, layers_of
from vitruvius.spaces.transformers.space import FlexiBert
from vitruvius.tools.safe_text import clean

MOST_CHARACTERS = 28  # of a line of words


class Hue(StrEnum):
    """What a part does; each is drawn in one colour, and its words say it too."""

    PLAIN = "ink"
    WEIGHTS = "blue"  # linear layers and convolutions
    MIXING = "purple"  # attention, gates
    SHAPING = "green"  # activations, normalisation
    POOLING = "amber"
    PASSING = "grey"  # identities and sums


@dataclass(frozen=True, kw_only=True)
class Node:
    """One part. `is_end` marks inputs and outputs, `is_dot` a small mark without a box."""

    name: str  # unique in its graph
    lines: tuple[str, ...]
    hue: Hue = Hue.PLAIN
    is_end: bool = False
    is_dot: bool = False


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From one node to a later one; `label` is the operation on the way, empty for none."""

    start: str
    end: str
    label: str = ""
    hue: Hue = Hue.PLAIN
    is_dashed: bool = False


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A picture without places: nodes in any order, edges without a circle."""

    nodes: Sequence[Node]
    edges: Sequence[Edge]


def short(text: str) -> str:
    """Returns a line of words that fits into a box.

    Example:
        >>> short("nor_conv_3x3")
        'nor_conv_3x3'
    """
    return clean(text, MOST_CHARACTERS)


_KINDS = {"conv": Hue.WEIGHTS, "skip": Hue.PASSING, "pool": Hue.POOLING}
_OPERATIONS = {
    recurrent.LINEAR: ("linear", Hue.WEIGHTS),
    recurrent.BLEND: ("blend", Hue.MIXING),
    recurrent.PRODUCT: ("\u00d7", Hue.MIXING),
    recurrent.SUM: ("+", Hue.PASSING),
    recurrent.TANH: ("tanh", Hue.SHAPING),
    recurrent.SIGMOID: ("sigmoid", Hue.SHAPING),
    recurrent.LEAKY: ("leaky ReLU", Hue.SHAPING),
}


def graph_of(space: SearchSpace, architecture: Architecture) -> Graph | None:
    """Returns the graph of an architecture, None where its space is no known family."""
    while isinstance(space, Pool):
        space = space.space
    makers: list[tuple[type[Any], Callable[[Any, Architecture], Graph]]] = [
        (FourNodeSpace, _cell),
        (Recurrent, _recurrent),
        (FlexiBert, _layers),
        (Macro, _blocks),
    ]
    for family, make in makers:
        if isinstance(space, family):
            return make(space, architecture)
    return None


def _cell(space: FourNodeSpace, architecture: Architecture) -> Graph:
    kinds = {c.name: str(c.traits.get("kind", "")) for slot in space.slots for c in slot.choices}
    edges = []
    for i, j in EDGES:
        operation = architecture.spec[f"edge_{i}_{j}"]
        kind = kinds.get(operation, "")
        if kind != "none":
            hue = _KINDS.get(kind, Hue.PLAIN)
            edges.append(
                Edge(start=str(i), end=str(j), label=short(operation), hue=hue,
                     is_dashed=kind == "skip")
            )  # fmt: skip
    used = {"0", "3"} | {e.start for e in edges} | {e.end for e in edges}
    words = {"0": "input", "3": "output"}
    nodes = [
        Node(name=n, lines=(words.get(n, n),), is_end=n in words, is_dot=n not in words)
        for n in map(str, range(4))
        if n in used
    ]
    return Graph(nodes=nodes, edges=edges)


def _recurrent(space: Recurrent, architecture: Architecture) -> Graph:
    graph = recurrent.from_recipe(architecture.spec)
    sources = sorted(n for n in recurrent.ancestors(graph, graph) if n not in graph)
    results = recurrent.outputs(graph)
    nodes = [Node(name=name, lines=(_source(name),), is_end=True) for name in sources]
    edges = []
    for name in recurrent.in_order(graph):
        word, hue = _OPERATIONS[graph[name].op]
        nodes.append(Node(name=name, lines=(word,), hue=hue))
        for place, given in enumerate(graph[name].inputs):
            gate = graph[name].op == recurrent.BLEND and place == 0
            edges.append(Edge(start=given, end=name, is_dashed=gate))
    for state, name in enumerate(results):
        word = f"new state {state}" + (" = output" if state == 0 else "")
        nodes.append(Node(name=f"{name} out", lines=(word,), is_end=True))
        edges.append(Edge(start=name, end=f"{name} out"))
    return Graph(nodes=nodes, edges=edges)


def _source(name: str) -> str:
    state = recurrent.state_read(name)
    return "input x" if state is None else f"old state {state}"


def _layers(space: FlexiBert, architecture: Architecture) -> Graph:
    nodes = [Node(name="in", lines=("tokens",), is_end=True)]
    for place, layer in enumerate(built_layers(layers_of(architecture), space.built_as), start=1):
        nodes += _layer(place, layer)
    nodes.append(Node(name="out", lines=("output",), is_end=True))
    return _chain(nodes)


def _layer(place: int, layer: BuiltLayer) -> list[Node]:
    widths = " → ".join(str(w) for w in (layer.hidden, *layer.ff_widths, layer.hidden))
    heads = f"{layer.operation}, {layer.heads} heads"
    return [
        Node(name=f"{place} mix", lines=(f"layer {place}", short(heads)), hue=Hue.MIXING),
        Node(name=f"{place} forward", lines=(f"feed-forward {widths}",), hue=Hue.WEIGHTS),
    ]


def _blocks(space: Macro, architecture: Architecture) -> Graph:
    spec = architecture.spec
    depth, norm = int(spec["depth"]), spec["normalisation"]
    nodes, skips = [Node(name="in", lines=("input",), is_end=True)], []
    for block in range(depth):
        before = nodes[-1].name
        shaped = spec["activation"] if norm == "none" else f"{norm} norm, {spec['activation']}"
        lines = (f"convolution {spec['kernel']}", f"{spec['width']} channels", shaped)
        nodes.append(Node(name=f"block {block}", lines=lines, hue=Hue.WEIGHTS))
        if spec["skip"] == "on" and block:
            nodes.append(Node(name=f"sum {block}", lines=("+",), hue=Hue.PASSING))
            skips.append(Edge(start=before, end=f"sum {block}", is_dashed=True))
        if block < HALVINGS and block + 1 < depth:
            pooling = f"{spec['pooling']} pooling"
            nodes.append(Node(name=f"pool {block}", lines=(pooling,), hue=Hue.POOLING))
    nodes.append(Node(name="mean", lines=("average over positions",), hue=Hue.POOLING))
    nodes.append(Node(name="out", lines=("linear = output",), is_end=True))
    chain = _chain(nodes)
    return Graph(nodes=chain.nodes, edges=[*chain.edges, *skips])


def _chain(nodes: list[Node]) -> Graph:
    pairs = itertools.pairwise(nodes)
    return Graph(nodes=nodes, edges=[Edge(start=a.name, end=b.name) for a, b in pairs])
