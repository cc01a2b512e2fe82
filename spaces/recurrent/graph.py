"""Recurrent cells as graphs: the recipe format of NAS-Bench-NLP, read and checked.

Klyuchnikov et al. 2020, arXiv:2006.07116. A recipe names nodes; each has an operation and a list
of inputs, which are other nodes, `x` (the step's input) or `h_prev_i` (a hidden state as the step
before left it). The nodes `h_new_0`, `h_new_1`, ... are the new hidden states, and `h_new_0` is
also the output. A linear node has one weight matrix for each input and one bias. A blend of a, b, c
is a * b + (1 - a) * c.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vitruvius.errors import ToolError

LINEAR = "linear"
BLEND = "blend"
PRODUCT = "elementwise_prod"
SUM = "elementwise_sum"
TANH = "activation_tanh"
SIGMOID = "activation_sigm"
LEAKY = "activation_leaky_relu"
OPERATIONS = (LINEAR, BLEND, PRODUCT, SUM, TANH, SIGMOID, LEAKY)
ACTIVATIONS = (TANH, SIGMOID, LEAKY)
COMMUTATIVE = frozenset({LINEAR, PRODUCT, SUM})
INPUTS = {LINEAR: (2, 3), BLEND: (3,), PRODUCT: (2,), SUM: (2,)} | dict.fromkeys(ACTIVATIONS, (1,))

X = "x"
MAX_NODES = 24
MAX_STATES = 3
MAX_NAME = 40  # characters of a node's name


class Node(NamedTuple):
    """One operation and the names of its inputs, in the order in which they are written."""

    op: str
    inputs: tuple[str, ...]


Graph = dict[str, Node]  # the nodes by name; `x` and `h_prev_i` have none


def previous(state: int) -> str:
    """Returns the name of a hidden state as the step before left it."""
    return f"h_prev_{state}"


def new(state: int) -> str:
    """Returns the name of the node that gives a hidden state anew."""
    return f"h_new_{state}"


def is_source(name: str) -> bool:
    """Returns whether a name is that of an input of the cell."""
    return name == X or state_read(name) is not None


def state_read(name: str) -> int | None:
    """Returns which hidden state the name `h_prev_i` reads; None for other names."""
    number = name.removeprefix("h_prev_")
    return int(number) if number != name and number.isascii() and number.isdecimal() else None


def states(graph: Graph) -> int:
    """Returns the number of hidden states."""
    count = 0
    while new(count) in graph:
        count += 1
    return count


def outputs(graph: Graph) -> list[str]:
    """Returns the names of the nodes that are new hidden states."""
    return [new(state) for state in range(states(graph))]


def to_recipe(graph: Graph) -> dict[str, dict[str, Any]]:
    """Returns the recipe as JSON data."""
    return {name: {"op": node.op, "input": list(node.inputs)} for name, node in graph.items()}


def from_recipe(recipe: Mapping[str, Mapping[str, Any]]) -> Graph:
    """Returns the graph of a recipe that is known to be legal."""
    return {name: Node(part["op"], tuple(part["input"])) for name, part in recipe.items()}


def ancestors(graph: Graph, names: Iterable[str]) -> set[str]:
    """Returns the given names and all nodes and sources that they are computed from."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            if name in graph:
                left.extend(graph[name].inputs)
    return found


def pruned(graph: Graph) -> Graph:
    """Returns the graph without the nodes that no new hidden state is computed from."""
    kept = ancestors(graph, outputs(graph))
    return {name: node for name, node in graph.items() if name in kept}


def in_order(graph: Graph) -> list[str]:
    """Returns the nodes' names, each after its inputs.

    Raises:
        ToolError: if nodes depend on each other in a circle.
    """
    done: set[str] = set()
    for name, node in graph.items():
        if any(given in graph and given not in done for given in node.inputs):
            break
        done.add(name)
    else:
        return list(graph)
    return _sorted(graph)


def _sorted(graph: Graph) -> list[str]:
    ordered: list[str] = []
    done: set[str] = set()
    for root in graph:
        waiting = [root]
        open_: set[str] = set()
        while waiting:
            name = waiting[-1]
            missing = [i for i in graph[name].inputs if i in graph and i not in done]
            if name in done or not missing:
                waiting.pop()
                if name not in done:
                    ordered.append(name)
                    done.add(name)
                continue
            if name in open_:
                raise ToolError(
                    f"nodes must not depend on themselves within a step: {name} does; read a"
                    " state of the step before, h_prev_i, instead"
                )
            open_.add(name)
            waiting.extend(missing)
    return ordered


def problems(graph: Graph) -> list[str]:
    """Returns what is wrong with a pruned graph by the published rules, in sentences.

    Every source must reach a new hidden state. (That no new state reads an old one directly
    binds the sampler alone: the published GRU breaks it.)
    """
    reached = ancestors(graph, outputs(graph))
    wanted = [X, *map(previous, range(states(graph)))]
    return [
        f"{name} must reach a new hidden state (h_new_i), but no node on the way reads it"
        for name in wanted
        if name not in reached
    ]


def direct_reads(graph: Graph) -> int:
    """Returns how many inputs of new hidden states are old ones: the sampler allows none."""
    inputs = (name for output in outputs(graph) for name in graph[output].inputs)
    return sum(state_read(name) is not None for name in inputs)


def read_recipe(spec: Any) -> Graph:
    """Returns the graph of untrusted JSON data, without nodes that have no effect.

    Raises:
        ToolError: says which part is wrong and what is allowed there.
    """
    if not isinstance(spec, Mapping) or not spec:
        raise ToolError(
            'expected a recipe such as {"node_0": {"op": "linear", "input": ["x", "h_prev_0"]}, '
            f'"h_new_0": {{"op": "activation_tanh", "input": ["node_0"]}}}}, got {spec!r:.80}'
        )
    if len(spec) > MAX_NODES:
        raise ToolError(f"a cell has at most {MAX_NODES} nodes, this one has {len(spec)}")
    graph = {_name(name): _node(name, part) for name, part in spec.items()}
    _check_states(graph)
    for name, node in graph.items():
        _check_inputs(graph, name, node)
    in_order(graph)
    graph = pruned(graph)
    wrong = problems(graph)
    if wrong:
        raise ToolError("; ".join(wrong))
    return graph


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ToolError(
            f"a node's name must be printable text of 1 to {MAX_NAME} characters, got {name!r:.60}"
        )
    if is_source(name):
        raise ToolError(f"{name} is an input of the cell; a node needs another name")
    return name


def _node(name: str, part: Any) -> Node:
    if not isinstance(part, Mapping) or set(part) != {"op", "input"}:
        raise ToolError(f'node {name} must be {{"op": ..., "input": [...]}}, got {part!r:.80}')
    op, inputs = part["op"], part["input"]
    if not isinstance(op, str) or op not in INPUTS:
        raise ToolError(
            f"the operation of {name} must be one of {', '.join(OPERATIONS)}, got {op!r:.40}"
        )
    if not isinstance(inputs, list | tuple) or not all(isinstance(i, str) for i in inputs):
        raise ToolError(f"the input of {name} must be a list of names, got {inputs!r:.80}")
    if len(inputs) not in INPUTS[op]:
        wanted = " or ".join(str(number) for number in INPUTS[op])
        raise ToolError(f"{op} takes {wanted} inputs, {name} has {len(inputs)}")
    return Node(op, tuple(inputs))


def _check_states(graph: Graph) -> None:
    numbers = [name.removeprefix("h_new_") for name in graph if name.startswith("h_new_")]
    found = sorted(int(number) for number in numbers if number.isascii() and number.isdecimal())
    if found != list(range(len(found))) or not 1 <= len(found) <= MAX_STATES:
        raise ToolError(
            f"the new hidden states must be h_new_0, h_new_1, ... ({MAX_STATES} at most), got"
            f" {', '.join(new(number) for number in found) or 'none'}"
        )


def _check_inputs(graph: Graph, name: str, node: Node) -> None:
    for given in node.inputs:
        state = state_read(given)
        if state is not None and state >= states(graph):
            raise ToolError(f"{name} reads {given}, but no node is {new(state)}")
        if state is None and given != X and given not in graph:
            known = ", ".join([X, *map(previous, range(states(graph))), *graph])
            raise ToolError(f"{name} reads {given!r:.40}, which is none of {known}")
        if given == X and node.op != LINEAR:
            raise ToolError(
                f"{name} ({node.op}) reads x, which has another width than the cell's nodes; "
                "only linear may read x"
            )


def _gate(name: str, activation: str) -> dict[str, dict[str, Any]]:
    return {
        name: {"op": "linear", "input": _BOTH},
        f"{name}_act": {"op": f"activation_{activation}", "input": [name]},
    }


# The three cells that people designed, as NAS-Bench-NLP writes them (ids 1000000 to 1000002).
# The output gate of the published LSTM is a tanh, and its input gate and candidate have the
# usual activations. The GRU reads an old state directly in a new one, which the sampler never does.
_BOTH = ["x", "h_prev_0"]
RNN: dict[str, dict[str, Any]] = {
    "f": {"op": "linear", "input": _BOTH},
    "h_new_0": {"op": "activation_tanh", "input": ["f"]},
}
LSTM: dict[str, dict[str, Any]] = {
    **_gate("i", "tanh"),
    **_gate("j", "sigm"),
    **_gate("f", "sigm"),
    **_gate("o", "tanh"),
    "h_new_1_part1": {"op": "elementwise_prod", "input": ["f_act", "h_prev_1"]},
    "h_new_1_part2": {"op": "elementwise_prod", "input": ["i_act", "j_act"]},
    "h_new_1": {"op": "elementwise_sum", "input": ["h_new_1_part1", "h_new_1_part2"]},
    "h_new_1_act": {"op": "activation_tanh", "input": ["h_new_1"]},
    "h_new_0": {"op": "elementwise_prod", "input": ["h_new_1_act", "o_act"]},
}
GRU: dict[str, dict[str, Any]] = {
    **_gate("r", "sigm"),
    **_gate("z", "sigm"),
    "rh": {"op": "elementwise_prod", "input": ["r_act", "h_prev_0"]},
    "h_tilde": {"op": "linear", "input": ["x", "rh"]},
    "h_tilde_act": {"op": "activation_tanh", "input": ["h_tilde"]},
    "h_new_0": {"op": "blend", "input": ["z_act", "h_prev_0", "h_tilde_act"]},
}
CLASSICS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
