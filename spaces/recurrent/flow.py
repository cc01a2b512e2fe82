"""What flows through a recurrent cell: ways from its inputs to its output, and ranges of values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vitruvius.spaces.recurrent.graph import (
    BLEND,
    LEAKY,
    LINEAR,
    PRODUCT,
    SIGMOID,
    SUM,
    TANH,
    Graph,
    Node,
    X,
    ancestors,
    new,
    previous,
    state_read,
    states,
)

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
SLOPE = 0.01  # of the leaky ReLU below zero
TRIES = 4  # steps after which a range that still grows counts as unlimited
FREE = frozenset({BLEND, PRODUCT, SUM})  # carry a value on without weights and activations


class Ways(NamedTuple):
    """The ways from one source to the output within a step; all zero where there are none."""

    number: int
    without_sigmoid: int
    most_linear: int
    fewest_linear: int
    fewest_squashed: int  # by tanh or sigmoid
    fewest_sigmoid: int
    most_leaky: int


def ways(graph: Graph, order: Sequence[str], source: str, target: str) -> Ways:
    """Returns how one source reaches a node. `order` puts each node after its inputs."""
    at: dict[str, Ways] = {source: Ways(1, 1, 0, 0, 0, 0, 0)}
    for name in order:
        op, inputs = graph[name]
        before = [at[each] for each in inputs if each in at]
        if not before:
            continue
        numbers, free, most, fewest, squashed, sigmoid, leaky = zip(*before, strict=True)
        at[name] = Ways(
            number=sum(numbers),
            without_sigmoid=0 if op == SIGMOID else sum(free),
            most_linear=max(most) + (op == LINEAR),
            fewest_linear=min(fewest) + (op == LINEAR),
            fewest_squashed=min(squashed) + (op in (TANH, SIGMOID)),
            fewest_sigmoid=min(sigmoid) + (op == SIGMOID),
            most_leaky=max(leaky) + (op == LEAKY),
        )
    return at.get(target, Ways(0, 0, 0, 0, 0, 0, 0))


def depth(graph: Graph, order: Sequence[str], target: str) -> int:
    """Returns the number of nodes on the longest way to a node, itself included."""
    at: dict[str, int] = {}
    for name in order:
        at[name] = 1 + max(at.get(each, 0) for each in graph[name].inputs)
    return at[target]


def live_states(graph: Graph) -> set[int]:
    """Returns the states that the output depends on, be it over several steps."""
    return set().union(*_reach(graph))


def steps_to_output(graph: Graph) -> int:
    """Returns how many steps later x first reaches the output: 0 in the same step, 3 never."""
    for steps, found in enumerate(_reach(graph)):
        if X in ancestors(graph, [new(state) for state in found]):
            return steps
    return 3


def _reach(graph: Graph) -> list[set[int]]:
    """Returns the states that reach the output within 0, 1, 2 more steps."""
    found = [{0}]
    for _ in range(2):
        names = ancestors(graph, [new(state) for state in found[-1]])
        read = {state for name in names if (state := state_read(name)) is not None}
        found.append(found[-1] | read)
    return found


def carried(graph: Graph, state: int) -> bool:
    """Returns whether a state reaches its new value through blends, products and sums alone."""
    left, seen = [new(state)], set[str]()
    while left:
        name = left.pop()
        if name == previous(state):
            return True
        if name in graph and name not in seen and graph[name].op in FREE:
            seen.add(name)
            left.extend(graph[name].inputs)
    return False


def ranges(graph: Graph, order: Sequence[str]) -> dict[str, Range]:
    """Returns an interval of the values that each node and old state can take.

    States start at zero and grow by what their nodes give; one that still grows after some steps
    counts as unlimited. Weights are not known, so a linear node gives anything.
    """
    count = states(graph)
    held: list[Range] = [(0.0, 0.0)] * count
    for attempt in range(TRIES + count + 1):
        found = _ranges(graph, order, held)
        grown = [_union(range_, found[new(i)]) for i, range_ in enumerate(held)]
        if grown == held:
            return found
        if attempt >= TRIES:
            grown = [_widened(old, now) for old, now in zip(held, grown, strict=True)]
        held = grown
    return _ranges(graph, order, [ANY] * count)


def _ranges(graph: Graph, order: Sequence[str], held: Sequence[Range]) -> dict[str, Range]:
    found: dict[str, Range] = {X: ANY} | {previous(i): each for i, each in enumerate(held)}
    for name in order:
        node = graph[name]
        found[name] = _RULES[node.op](*(found[each] for each in node.inputs))
    return found


def _blend(gate: Range, first: Range, second: Range) -> Range:
    if gate[0] >= 0 and gate[1] <= 1:
        return _union(first, second)
    return _sum(_product(gate, first), _product((1 - gate[1], 1 - gate[0]), second))


def _product(first: Range, second: Range) -> Range:
    ends = [0.0 if 0 in (a, b) else a * b for a in first for b in second]
    return min(ends), max(ends)


def _sum(first: Range, second: Range) -> Range:
    return first[0] + second[0], first[1] + second[1]


def _leaky(given: Range) -> Range:
    low, high = (value if value > 0 else SLOPE * value for value in given)
    return low, high


def _union(first: Range, second: Range) -> Range:
    return min(first[0], second[0]), max(first[1], second[1])


def _widened(old: Range, now: Range) -> Range:
    return (
        now[0] if now[0] == old[0] else -math.inf,
        now[1] if now[1] == old[1] else math.inf,
    )


_RULES: dict[str, Callable[..., Range]] = {
    LINEAR: lambda *_: ANY,
    BLEND: _blend,
    PRODUCT: _product,
    SUM: _sum,
    TANH: lambda given: (0.0, 0.0) if given == (0, 0) else (-1.0, 1.0),
    SIGMOID: lambda _: (0.0, 1.0),
    LEAKY: _leaky,
}


def readers(graph: Graph) -> dict[str, list[Node]]:
    """Returns the nodes that read each name, once for each place at which they do."""
    found: dict[str, list[Node]] = {}
    for node in graph.values():
        for given in node.inputs:
            found.setdefault(given, []).append(node)
    return found
