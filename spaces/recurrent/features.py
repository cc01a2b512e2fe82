"""Structural features of recurrent cells."""

from __future__ import annotations

import math

from vitruvius.spaces.recurrent.flow import (
    carried,
    depth,
    live_states,
    ranges,
    readers,
    steps_to_output,
    ways,
)
from vitruvius.spaces.recurrent.graph import (
    ACTIVATIONS,
    BLEND,
    LINEAR,
    OPERATIONS,
    PRODUCT,
    SIGMOID,
    Graph,
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

_OUTPUT = new(0)


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
