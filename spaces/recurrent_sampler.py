"""The sampler of NAS-Bench-NLP: random recurrent cells by the published rules.

Klyuchnikov et al. 2020, arXiv:2006.07116. Operations are drawn with the weights linear 3, blend 1,
product 1, sum 1 until there are enough nodes. A linear node reads old states, x and activations, and
is followed by an activation; other operations read old states and nodes. Some nodes are then named
new hidden states, and what does not reach them is left out. A cell is kept if x and every old state
reach a new state and none is read by one directly.
"""

from __future__ import annotations

import numpy as np

from vitruvius.spaces.recurrent_graph import (
    ACTIVATIONS,
    BLEND,
    INPUTS,
    LINEAR,
    MAX_NODES,
    MAX_STATES,
    PRODUCT,
    SUM,
    Graph,
    Node,
    X,
    direct_reads,
    new,
    previous,
    problems,
    pruned,
)

MAIN = (LINEAR, BLEND, PRODUCT, SUM)
WEIGHTS = np.array([3, 1, 1, 1]) / 6
TWO_INPUTS = 0.8  # of linear nodes; the others have three
INTERMEDIATE = 12  # nodes before any is left out, as the highest numbers in the published list tell
STATES = np.array([0.37, 0.46, 0.17])  # shares of one, two and three states in that list


def sample_graph(rng: np.random.Generator) -> Graph:
    """Returns a legal cell, without dead nodes, of one to three hidden states."""
    count = 1 + int(rng.choice(MAX_STATES, p=STATES))
    while True:
        graph = _draw(count, rng)
        if graph is not None and not problems(graph) and not direct_reads(graph):
            return graph


def _draw(count: int, rng: np.random.Generator) -> Graph | None:
    """Returns one raw draw, pruned; None if it has too few nodes for its states."""
    old = [previous(state) for state in range(count)]
    graph: Graph = {}
    active: list[str] = []
    while len(graph) < count + INTERMEDIATE:
        op = MAIN[rng.choice(len(MAIN), p=WEIGHTS)]
        if op == LINEAR:
            inputs = _pick([X, *old, *active], 2 if rng.random() < TWO_INPUTS else 3, rng)
        else:
            inputs = _pick([*old, *graph], INPUTS[op][0], rng)
        if inputs is None:
            continue
        name = f"node_{len(graph)}"
        graph[name] = Node(op, inputs)
        if op == LINEAR:
            follower = f"node_{len(graph)}"
            graph[follower] = Node(ACTIVATIONS[rng.integers(len(ACTIVATIONS))], (name,))
            active.append(follower)
    chosen = _pick(list(graph), count, rng)
    if chosen is None:
        return None
    return _named(graph, chosen)


def _named(graph: Graph, chosen: tuple[str, ...]) -> Graph | None:
    """Returns the graph with the chosen nodes as new states, pruned; None if it is too large."""
    names = {name: new(state) for state, name in enumerate(chosen)}
    renamed = {
        names.get(name, name): Node(node.op, tuple(names.get(each, each) for each in node.inputs))
        for name, node in graph.items()
    }
    left = pruned(renamed)
    return left if len(left) <= MAX_NODES else None


def _pick(names: list[str], count: int, rng: np.random.Generator) -> tuple[str, ...] | None:
    """Returns that many different names at random; None if there are too few."""
    if len(names) < count:
        return None
    return tuple(names[place] for place in rng.choice(len(names), count, replace=False))
