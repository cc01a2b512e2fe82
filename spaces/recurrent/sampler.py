"""The sampler of NAS-Bench-NLP: random recurrent cells by the published rules.

Klyuchnikov et al. 2020, arXiv:2006.07116. Operations are drawn with the weights linear 3, blend 1,
product 1, sum 1 until there are enough nodes. A linear node reads old states, x and activations,
and is followed by an activation; other operations read old states and nodes. Some nodes are then
named new hidden states, and what does not reach them is left out. A cell is kept if x and every old
state reach a new state and none is read by one directly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vitruvius.spaces.recurrent.graph import (
    ACTIVATIONS,
    BLEND,
    INPUTS,
    LINEAR,
    MAX_NODES,
    PRODUCT,
    SUM,
    Graph,
    Node,
    X,
    ancestors,
    direct_reads,
    new,
    previous,
    problems,
)

MAIN = (LINEAR, LINEAR, LINEAR, BLEND, PRODUCT, SUM)  # each as likely as the others
TWO_INPUTS = 0.8  # of linear nodes; the others have three
INTERMEDIATE = 12  # nodes before any is left out, as the highest numbers in the published list tell
STATES = (0.37, 0.46, 0.17)  # shares of one, two and three states in that list
BLOCK = 512  # numbers drawn at once: one at a time takes ten times as long


def sample_graph(rng: np.random.Generator) -> Graph:
    """Returns a legal cell, without dead nodes, of one to three hidden states."""
    dice = _Dice(rng)
    at = dice.uniform()
    count = 1 + (at >= STATES[0]) + (at >= STATES[0] + STATES[1])
    while True:
        graph = _draw(count, dice)
        if not direct_reads(graph) and not problems(graph) and len(graph) <= MAX_NODES:
            return graph


class _Dice:
    """Random numbers of a generator, drawn in blocks; what is left of a block is lost."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.left: list[float] = []

    def uniform(self) -> float:
        if not self.left:
            self.left = self.rng.random(BLOCK).tolist()
        return self.left.pop()

    def one(self, options: Sequence[str]) -> str:
        return options[int(self.uniform() * len(options))]

    def several(self, options: Sequence[str], count: int) -> tuple[str, ...]:
        """Returns different ones, in random order."""
        left = list(options)
        return tuple(left.pop(int(self.uniform() * len(left))) for _ in range(count))


def _draw(count: int, dice: _Dice) -> Graph:
    """Returns one draw of so many hidden states, without dead nodes."""
    old = [previous(state) for state in range(count)]
    graph: Graph = {}
    active: list[str] = []
    while len(graph) < count + INTERMEDIATE:
        op = dice.one(MAIN)
        offered = [X, *old, *active] if op == LINEAR else [*old, *graph]
        is_wide = op == LINEAR and dice.uniform() >= TWO_INPUTS
        wanted = INPUTS[op][-1] if is_wide else INPUTS[op][0]
        if len(offered) < wanted:
            continue
        name = f"node_{len(graph)}"
        graph[name] = Node(op, dice.several(offered, wanted))
        if op == LINEAR:
            follower = f"node_{len(graph)}"
            graph[follower] = Node(dice.one(ACTIVATIONS), (name,))
            active.append(follower)
    return _named(graph, dice.several(list(graph), count))


def _named(graph: Graph, chosen: tuple[str, ...]) -> Graph:
    """Returns the graph with the chosen nodes as new states, without dead nodes."""
    names = {name: new(state) for state, name in enumerate(chosen)}
    kept = ancestors(graph, chosen)
    return {
        names.get(name, name): Node(op, tuple(names.get(each, each) for each in inputs))
        for name, (op, inputs) in graph.items()
        if name in kept
    }
