"""Random recurrent cells, and small changes of a cell, pruned and checked by `checked`.

Cells are drawn by the published rules of NAS-Bench-NLP (Klyuchnikov et al. 2020, arXiv:2006.07116).
Operations are drawn with the weights linear 3, blend 1, product 1, sum 1 until there are enough
nodes. A linear node reads old states, x and activations, and is followed by an activation; other
operations read old states and nodes. Some nodes are then named new hidden states, and what does not
reach them is left out. A cell is kept if x and every old state reach a new state and none is read
by one directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from vitruvius.spaces.recurrent.graph import (
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
    ancestors,
    direct_reads,
    new,
    outputs,
    previous,
    problems,
    pruned,
    states,
)

MAIN = (LINEAR, LINEAR, LINEAR, BLEND, PRODUCT, SUM)  # each as likely as the others
TWO_INPUTS = 0.8  # of linear nodes; the others have three
INTERMEDIATE = 12  # nodes before any is left out, as the highest numbers in the published list tell
STATES = (0.37, 0.46, 0.17)  # shares of one, two and three states in that list
BLOCK = 512  # numbers drawn at once: one at a time takes ten times as long

Move = Callable[[Graph], Iterator[Graph]]
FRESH = "fresh"  # the name of an added node, until the canonical form gives it another


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


def change_operation(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs with another operation, of as many inputs, at one node."""
    for name, (op, inputs) in graph.items():
        for other, counts in INPUTS.items():
            reads_x = X in inputs and other != LINEAR
            if other != op and len(inputs) in counts and not reads_x:
                yield {**graph, name: Node(other, inputs)}


def rewire(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs in which a node reads something else, or a blend in another order."""
    for name, (op, inputs) in graph.items():
        offered = _readable(graph, name, op)
        for place in range(len(inputs)):
            for other in offered:
                if other not in inputs:
                    yield {**graph, name: Node(op, _with(inputs, place, other))}
        if op == BLEND:
            a, b, c = inputs
            for swapped in ((b, a, c), (a, c, b), (c, b, a)):
                yield {**graph, name: Node(op, swapped)}


def resize_linear(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs in which a linear node reads one thing more or one less."""
    fewest, most = INPUTS[LINEAR]
    for name, (op, inputs) in graph.items():
        if op != LINEAR:
            continue
        if len(inputs) < most:
            for other in _readable(graph, name, op):
                if other not in inputs:
                    yield {**graph, name: Node(op, (*inputs, other))}
        if len(inputs) > fewest:
            for place in range(len(inputs)):
                yield {**graph, name: Node(op, inputs[:place] + inputs[place + 1 :])}


def add_node(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs with a new node between a node and one of its inputs.

    An activation; or a linear node, a product or a sum of that input and an old state or x.
    """
    if len(graph) == MAX_NODES:
        return
    old = [previous(state) for state in range(states(graph))]
    for name, (op, inputs) in graph.items():
        for place, given in enumerate(inputs):
            added = [Node(LINEAR, (given, other)) for other in (X, *old) if other != given]
            if given != X:
                added += [Node(each, (given,)) for each in ACTIVATIONS]
                added += [
                    Node(each, (given, other))
                    for each in (PRODUCT, SUM)
                    for other in old
                    if other != given
                ]
            for node in added:
                yield {**graph, name: Node(op, _with(inputs, place, FRESH)), FRESH: node}


def remove_node(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs in which one of its inputs takes a node's place."""
    fixed = set(outputs(graph))
    for name, (_, inputs) in graph.items():
        for given in inputs:
            if name not in fixed:
                yield _replaced(graph, name, given)
            elif given in graph and given not in fixed:
                yield _swapped(graph, name, given)


def choose_output(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs in which another node is a new hidden state, or two states are swapped."""
    fixed = outputs(graph)
    for output in fixed:
        for other in graph:
            if other not in fixed or other > output:
                yield _swapped(graph, output, other)


def change_states(graph: Graph) -> Iterator[Graph]:
    """Yields the graphs with one hidden state less, or one more that a node reads."""
    count = states(graph)
    for state in range(1, count):
        yield _without_state(graph, state)
    if count == MAX_STATES:
        return
    fixed, added = set(outputs(graph)), previous(count)
    for chosen in graph:
        if chosen in fixed:
            continue
        named = _swapped(graph, chosen, new(count))
        for name, (op, inputs) in named.items():
            for place in range(len(inputs)):
                yield {**named, name: Node(op, _with(inputs, place, added))}


MOVES: tuple[Move, ...] = (
    change_operation,
    rewire,
    resize_linear,
    add_node,
    remove_node,
    choose_output,
    change_states,
)


def checked(graph: Graph, most_direct: int) -> Graph | None:
    """Returns the graph of a move without dead nodes; None if the sampler could not have drawn it.

    Nor has it then a node that reads something twice. Direct reads of old states by new ones,
    which the published GRU has, may stay as many as they were.

    Args:
        graph: what a move gave.
        most_direct: how many inputs of new states may be old ones: as many as before the move.
    """
    left = pruned(graph)
    for op, inputs in left.values():
        if len(set(inputs)) < len(inputs) or (X in inputs and op != LINEAR):
            return None
    return None if problems(left) or direct_reads(left) > most_direct else left


def _readable(graph: Graph, name: str, op: str) -> list[str]:
    """Returns what a node may read without depending on itself."""
    old = [previous(state) for state in range(states(graph))]
    free = [other for other in graph if name not in ancestors(graph, [other])]
    return [*([X] if op == LINEAR else []), *old, *free]


def _with(inputs: tuple[str, ...], place: int, given: str) -> tuple[str, ...]:
    return (*inputs[:place], given, *inputs[place + 1 :])


def _replaced(graph: Graph, name: str, given: str) -> Graph:
    """Returns the graph without a node, whose readers read something else."""
    return {
        other: Node(op, tuple(given if each == name else each for each in inputs))
        for other, (op, inputs) in graph.items()
        if other != name
    }


def _swapped(graph: Graph, first: str, second: str) -> Graph:
    """Returns the graph in which two names are exchanged; the second need not exist."""
    names = {first: second, second: first}
    return {
        names.get(name, name): Node(op, tuple(names.get(each, each) for each in inputs))
        for name, (op, inputs) in graph.items()
    }


def _without_state(graph: Graph, state: int) -> Graph:
    """Returns the graph in which the output's old state takes the place of another old state."""
    count = states(graph)
    names = {previous(state): previous(0), new(state): "was_state"}
    for later in range(state + 1, count):
        names |= {previous(later): previous(later - 1), new(later): new(later - 1)}
    return {
        names.get(name, name): Node(op, tuple(names.get(each, each) for each in inputs))
        for name, (op, inputs) in graph.items()
    }
