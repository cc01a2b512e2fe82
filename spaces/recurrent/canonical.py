"""The canonical form of a recurrent cell: one recipe for all that build the same network.

Names of nodes do not matter, nor the order of the inputs of linear, product and sum, nor which
number a hidden state has, but for the first, which is the output. Nodes without weights that
compute the same are one. Two linear nodes that read the same are two, since each has its own
weights: there this form is finer than a hash of what each output unfolds to.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from vitruvius.spaces.recurrent.graph import (
    COMMUTATIVE,
    LINEAR,
    OPERATIONS,
    Graph,
    Node,
    X,
    in_order,
    new,
    previous,
    state_read,
    states,
)

Key = tuple[tuple[int, tuple[int, ...]], ...]


def canonical_graph(graph: Graph) -> Graph:
    """Returns the canonical form of a legal graph without dead nodes; itself legal."""
    forms = (_Form(graph, numbers) for numbers in _numberings(states(graph)))
    best = min((form.best() for form in forms), key=lambda found: found[0])
    return best[1]


def _numberings(count: int) -> list[tuple[int, ...]]:
    """Returns the new number of each hidden state, in every way that keeps the first."""
    return [(0, *rest) for rest in itertools.permutations(range(1, count))]


@dataclass
class _Form:
    """The search for the smallest key of a graph under one numbering of its states."""

    graph: Graph
    numbers: Sequence[int]

    def __post_init__(self) -> None:
        self.of_source = {X: -1} | {previous(s): -2 - n for s, n in enumerate(self.numbers)}
        self.new_number = {new(s): n for s, n in enumerate(self.numbers)}
        self.nodes = self._merged()
        self.names = in_order(self.nodes)
        place = {name: i for i, name in enumerate(self.names)}
        self.reads = [
            [self.of_source.get(each, place.get(each, 0)) for each in self.nodes[name].inputs]
            for name in self.names
        ]
        self.read_by: list[list[tuple[int, int]]] = [[] for _ in self.names]
        self.kinds = [
            10 * OPERATIONS.index(self.nodes[name].op) + self.new_number.get(name, -1)
            for name in self.names
        ]
        # whether the order of inputs does not matter
        self.free = [self.nodes[name].op in COMMUTATIVE for name in self.names]
        for reader, inputs in enumerate(self.reads):
            for position, given in enumerate(inputs):
                if given >= 0:
                    self.read_by[given].append((reader, 0 if self.free[reader] else position))

    def best(self) -> tuple[Key, Graph]:
        """Returns the smallest key and the graph that it belongs to."""
        order = self._search(self._from_below())
        return self._key(order), self._named(order)

    def _merged(self) -> Graph:
        """Returns the nodes; of those without weights that compute the same, the first.

        An output stays, whatever it repeats, and where it repeats others they give way to it.
        """
        seen: dict[tuple[str, tuple[str, ...]], str] = {}
        stands_for: dict[str, str] = {}
        nodes: Graph = {}
        ranked = sorted(self.new_number, key=self.new_number.__getitem__)
        for name in in_order(self.graph):
            op, inputs = self.graph[name]
            inputs = tuple(stands_for.get(each, each) for each in inputs)
            nodes[name] = Node(op, inputs)
            # it has weights of its own, so that no other computes the same
            if op == LINEAR:
                continue
            key = (op, tuple(sorted(inputs)) if op in COMMUTATIVE else inputs)
            stands_for[name] = seen.setdefault(key, name)
        groups: dict[str, list[str]] = {}
        for name, first in stands_for.items():
            groups.setdefault(first, []).append(name)
        if all(len(group) == 1 for group in groups.values()):
            return nodes
        keeper = {}
        for first, group in groups.items():
            kept = [name for name in ranked if name in group] or [first]
            keeper[first] = kept[0]
            for name in group:
                if name not in kept:
                    del nodes[name]
        return {
            name: Node(node.op, tuple(keeper.get(each, each) for each in node.inputs))
            for name, node in nodes.items()
        }

    def _from_below(self) -> list[int]:
        """Returns a colour for each node by what it is computed from, sources being known.

        Nodes that are further from the sources have higher colours, so that names follow the flow.
        """
        levels: list[int] = []
        for inputs in self.reads:  # in order
            levels.append(1 + max((levels[i] for i in inputs if i >= 0), default=0))
        colours = [0] * len(levels)
        taken = 0
        for level in range(1, max(levels) + 1):
            signs = {}
            for node in (node for node, at in enumerate(levels) if at == level):
                inputs = [colours[i] if i >= 0 else i for i in self.reads[node]]
                signs[node] = (self.kinds[node], sorted(inputs) if self.free[node] else inputs)
            ordered = sorted(signs, key=signs.__getitem__)
            for before, node in zip([None, *ordered], ordered, strict=False):
                taken += before is not None and signs[before] != signs[node]
                colours[node] = taken
            taken += 1
        return colours

    def _refined(self, colours: list[int]) -> list[int]:
        """Returns the coarsest refinement in which equal colours read and are read alike."""
        count = len(set(colours))
        while count < len(colours):
            signs = []
            for node, colour in enumerate(colours):
                inputs = [colours[i] if i >= 0 else i for i in self.reads[node]]
                if self.free[node]:
                    inputs.sort()
                readers = sorted((colours[reader], at) for reader, at in self.read_by[node])
                signs.append((colour, tuple(inputs), tuple(readers)))
            ranks = {sign: rank for rank, sign in enumerate(sorted(set(signs)))}
            colours = [ranks[sign] for sign in signs]
            if len(ranks) == count:
                break
            count = len(ranks)
        return colours

    def _search(self, colours: list[int]) -> list[int]:
        """Returns the order of the nodes that has the smallest key.

        Where refinement leaves nodes of one colour, each is set apart in turn. A node whose first
        descent ends in the key of an earlier one is its image under a symmetry, so that its
        branch holds nothing new: without this, k alike parts would cost k! descents.
        """
        tied = self._first_tie(colours) and self._first_tie(colours := self._refined(colours))
        if not tied:
            return self._order(colours)
        best: list[int] | None = None
        met: set[Key] = set()
        for node in tied:
            apart = [2 * colour + 1 for colour in colours]
            apart[node] -= 1
            first = self._key(self._descent(apart))
            if first in met:
                continue
            met.add(first)
            found = self._search(apart)
            if best is None or self._key(found) < self._key(best):
                best = found
        assert best is not None
        return best

    def _descent(self, colours: list[int]) -> list[int]:
        """Returns the order at the end of the first branch below."""
        colours = self._refined(colours)
        while tied := self._first_tie(colours):
            colours = [2 * colour + 1 for colour in colours]
            colours[tied[0]] -= 1
            colours = self._refined(colours)
        return self._order(colours)

    def _first_tie(self, colours: list[int]) -> list[int]:
        groups: dict[int, list[int]] = {}
        for node, colour in enumerate(colours):
            groups.setdefault(colour, []).append(node)
        ties = [colour for colour, group in groups.items() if len(group) > 1]
        return groups[min(ties)] if ties else []

    def _order(self, colours: list[int]) -> list[int]:
        return sorted(range(len(colours)), key=colours.__getitem__)

    def _placed(self, order: list[int]) -> list[list[int]]:
        """Returns each node's inputs as places in the order: sources first, then nodes."""
        place = {node: i for i, node in enumerate(order)}
        rows = []
        for node in order:
            inputs = [place[i] if i >= 0 else i - 100 for i in self.reads[node]]
            rows.append(sorted(inputs, key=_sources_first) if self.free[node] else inputs)
        return rows

    def _key(self, order: list[int]) -> Key:
        rows = zip(order, self._placed(order), strict=True)
        return tuple((self.kinds[node], tuple(row)) for node, row in rows)

    def _named(self, order: list[int]) -> Graph:
        """Returns the graph with its canonical names, in order."""
        labels: list[str] = []
        for node in order:
            number = self.new_number.get(self.names[node])
            labels.append(f"node_{len(labels)}" if number is None else new(number))
        sources = {number - 100: name for name, number in self.of_source.items()}
        for name, number in self.of_source.items():
            state = state_read(name)
            if state is not None:
                sources[number - 100] = previous(self.numbers[state])
        return {
            label: Node(
                self.nodes[self.names[node]].op,
                tuple(labels[i] if i >= 0 else sources[i] for i in row),
            )
            for label, node, row in zip(labels, order, self._placed(order), strict=True)
        }


def _sources_first(place: int) -> tuple[bool, int]:
    return (place >= 0, -place if place < 0 else place)
