"""Structural features of recurrent cells, and what flows through one.

That is: the ways from its inputs to its output, and the ranges of values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vitruvius.spaces.recurrent.graph import (
    ACTIVATIONS,
    BLEND,
    LEAKY,
    LINEAR,
    OPERATIONS,
    PRODUCT,
    SIGMOID,
    SUM,
    TANH,
    Graph,
    Node,
    X,
    ancestors,
    in_order,
    new,
    outputs,
    previous,
    state_read,
    states,
)
from vitruvius.spaces.space import Feature

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
SLOPE = 0.01  # of the leaky ReLU below zero
TRIES = 4  # steps after which a range that still grows counts as unlimited
FREE = frozenset({BLEND, PRODUCT, SUM})  # carry a value on without weights and activations

_OUTPUT = new(0)


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


def short(op: str) -> str:
    """Returns an operation's name without the word for its kind."""
    return op.removeprefix("elementwise_").removeprefix("activation_")


def _count(name: str, description: str) -> Feature:
    return Feature(name=name, kind="count", description=description)


def _share(name: str, description: str) -> Feature:
    return Feature(name=name, kind="share", description=description)


def _bool(name: str, description: str) -> Feature:
    return Feature(name=name, kind="bool", description=description)


FEATURES: tuple[Feature, ...] = (
    _count("nodes", "operations of the cell"),
    *(_count(f"count({short(op)})", f"nodes that are {short(op)}") for op in OPERATIONS),
    *(_share(f"share({short(op)})", f"share of nodes that are {short(op)}") for op in OPERATIONS),
    _count("states", "hidden states, 1 to 3"),
    _count("live_states", "hidden states that the output depends on, over any number of steps"),
    _count("matrices", "weight matrices: inputs of linear nodes"),
    _count("matrices(x)", "weight matrices that x is multiplied by"),
    _count("matrices(state)", "weight matrices that an old hidden state is multiplied by"),
    _count("matrices(node)", "weight matrices that another node is multiplied by"),
    _share("share(matrices, x)", "share of the weight matrices that x is multiplied by"),
    _count("wide_linears", "linear nodes with three inputs"),
    _count("joint_linears", "linear nodes that read x and an old state"),
    *(
        _bool(f"output({short(op)})", f"the output h_new_0 comes out of {short(op)}")
        for op in OPERATIONS
    ),
    *(
        _count(f"x_into({short(op)})", f"{short(op)} nodes that read a linear node that reads x")
        for op in ACTIVATIONS
    ),
    _count("reads(h_prev_0)", "places at which the output of the step before is read"),
    _count("reads(other states)", "places at which another old state is read"),
    _count("gates(blend)", "blends whose weighing input is a sigmoid"),
    _count("gates(prod)", "products with a sigmoid"),
    _count("loose_blends", "blends whose weighing input can leave 0 to 1"),
    _bool("carry(h_0)", "h_prev_0 reaches h_new_0 through blends, products and sums alone"),
    _count("carries", "states that reach their new value through blends, products, sums alone"),
    _count("depth", "nodes on the longest way to the output"),
    _count("ways(x -> output)", "ways from x to the output within a step"),
    _count("open(x -> output)", "such ways without a sigm"),
    _count("depth(x -> output)", "most linear nodes on a way from x to the output within a step"),
    _count("shortest(x -> output)", "fewest linear nodes on such a way; 0 where there is none"),
    _count("squashed(x -> output)", "fewest tanh and sigm on such a way"),
    _count("sigm(x -> output)", "fewest sigm on such a way"),
    _count("leaky(x -> output)", "most leaky_relu on such a way"),
    _count("delay", "steps after which x first reaches the output; 3 if never"),
    _count("ways(h_0 -> output)", "ways from h_prev_0 to the output within a step"),
    _count("open(h_0 -> output)", "such ways without a sigm"),
    _count("depth(h_0 -> output)", "most linear nodes on a way from h_prev_0 to the output"),
    _count("shortest(h_0 -> output)", "fewest linear nodes on such a way; 0 where there is none"),
    _count("squashed(h_0 -> output)", "fewest tanh and sigm on such a way"),
    _count("leaky(h_0 -> output)", "most leaky_relu on such a way"),
    _bool("bounded(output)", "the output stays within fixed limits, whatever the weights"),
    _bool("positive(output)", "the output is never below zero"),
    _bool("constant(output)", "the output stays zero, whatever the weights"),
    _count("unbounded_states", "hidden states without fixed limits"),
    _count("unbounded_products", "products and blends of two factors without fixed limits"),
    _count("positive_reads", "linear nodes that read a node that is never below zero"),
    _count("shared", "nodes that are read at several places"),
    _share("share(nodes, output)", "share of the nodes that the output depends on in a step"),
)  # fmt: skip


def feature_row(graph: Graph) -> list[float]:
    """Returns the values of `FEATURES` of a graph without dead nodes."""
    order = in_order(graph)
    ops = [graph[name].op for name in order]
    counts = [ops.count(op) for op in OPERATIONS]
    return [
        len(ops),
        *counts,
        *(count / len(ops) for count in counts),
        states(graph),
        len(live_states(graph)),
        *_matrices(graph),
        *(float(graph[_OUTPUT].op == op) for op in OPERATIONS),
        *_reading(graph),
        *_gates(graph),
        *_paths(graph, order),
        *_limits(graph, order),
        sum(len(each) > 1 for name, each in readers(graph).items() if name in graph),
        len(ancestors(graph, [_OUTPUT]) & set(graph)) / len(ops),
    ]


def _matrices(graph: Graph) -> list[float]:
    read = [given for op, inputs in graph.values() if op == LINEAR for given in inputs]
    of_x = read.count(X)
    of_states = sum(map(is_state, read))
    linear = [inputs for op, inputs in graph.values() if op == LINEAR]
    return [
        len(read),
        of_x,
        of_states,
        len(read) - of_x - of_states,
        of_x / max(1, len(read)),
        sum(len(inputs) > 2 for inputs in linear),
        sum(X in inputs and any(map(is_state, inputs)) for inputs in linear),
    ]


def is_state(name: str) -> bool:
    """Returns whether a name reads an old hidden state."""
    return state_read(name) is not None


def _reading(graph: Graph) -> list[float]:
    fed = {name for name, (op, inputs) in graph.items() if op == LINEAR and X in inputs}
    into = [op for op, inputs in graph.values() if not fed.isdisjoint(inputs)]
    read = [state for _, inputs in graph.values() for state in map(state_read, inputs)]
    others = sum(state is not None and state > 0 for state in read)
    return [*(into.count(op) for op in ACTIVATIONS), read.count(0), others]


def _gates(graph: Graph) -> list[float]:
    def is_sigmoid(name: str) -> bool:
        return name in graph and graph[name].op == SIGMOID

    blends = [inputs for op, inputs in graph.values() if op == BLEND]
    products = [inputs for op, inputs in graph.values() if op == PRODUCT]
    carries = [carried(graph, state) for state in range(states(graph))]
    return [
        sum(is_sigmoid(inputs[0]) for inputs in blends),
        sum(any(map(is_sigmoid, inputs)) for inputs in products),
        sum(not is_sigmoid(inputs[0]) for inputs in blends),
        carries[0],
        sum(carries),
    ]


def _paths(graph: Graph, order: list[str]) -> list[float]:
    of_x = ways(graph, order, X, _OUTPUT)
    of_state = ways(graph, order, previous(0), _OUTPUT)
    return [
        depth(graph, order, _OUTPUT),
        *of_x,
        steps_to_output(graph),
        *of_state[:5],
        of_state.most_leaky,
    ]


def _limits(graph: Graph, order: list[str]) -> list[float]:
    found = ranges(graph, order)
    open_ = {name for name, (low, high) in found.items() if math.isinf(low) or math.isinf(high)}
    low, high = found[_OUTPUT]
    factors = [
        sum(given in open_ for given in inputs)
        for op, inputs in graph.values()
        if op in (PRODUCT, BLEND)
    ]
    return [
        _OUTPUT not in open_,
        low >= 0,
        low == high == 0,
        sum(name in open_ for name in outputs(graph)),
        sum(number > 1 for number in factors),
        sum(
            any(given in graph and found[given][0] >= 0 for given in inputs)
            for op, inputs in graph.values()
            if op == LINEAR
        ),
    ]
