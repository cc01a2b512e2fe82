"""A network as one class, traced: for those that are put together by hand from torch's layers."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import fx, nn

from vitruvius.tools.export.class_source import Unexportable, import_block, is_plain

SIZES = frozenset({"kernel_size", "stride", "padding", "output_padding", "dilation"})


def flat_source(network: nn.Module) -> tuple[str, str]:
    """Returns the source of a class that does what `network` does, and the call that makes it.

    Names of parameters and buffers stay as they are, so the same state dict fits.

    Raises:
        Unexportable: if the network decides by its data what to do (torch.fx cannot follow), or
            uses layers that cannot be made again from their attributes.
    """
    head = import_block(["import operator", "from collections import OrderedDict"])
    if _is_plain_layer(network):
        return head, _expression(network)
    graph = _trace(network)
    body = _block((*_parts(network, graph), *_tensors(network, graph)), end="", depth=2)
    steps = _block(_steps(graph), end="", depth=2)
    inputs = ", ".join(node.name for node in graph.nodes if node.op == "placeholder")
    lines = [
        "class Network(nn.Module):",
        '    """The layers under the names that they were trained with."""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        body,
        f"    def forward(self, {inputs}):",
        steps,
    ]
    return f"{head}\n\n\n" + "\n".join(lines), "Network()"


def _block(items: Iterable[str], *, end: str = ",", depth: int = 1) -> str:
    """Returns indented lines, one an item."""
    return textwrap.indent("".join(f"{item}{end}\n" for item in items), depth * "    ")


class _Tracer(fx.Tracer):
    """Keeps layers and sequences of layers whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_plain_layer(m)


def _trace(network: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(network)
    except Exception as error:  # tracing runs the network's own code
        raise Unexportable(f"it cannot be traced: {type(error).__name__}: {error}") from error


def _is_plain_layer(module: nn.Module) -> bool:
    # exactly: a subclass may do more than run its layers in turn
    if type(module) is nn.Sequential:
        return len(module) > 0 and all(_is_plain_layer(child) for child in module)
    return type(module).__module__.startswith("torch.nn.modules")


def _parts(network: nn.Module, graph: fx.Graph) -> Iterator[str]:
    """Yields the lines that make the layers, each inside empty modules as its name says."""
    made: set[str] = set()
    for node in graph.nodes:
        target = str(node.target)
        if node.op not in {"call_module", "get_attr"} or target in made:
            continue
        made.add(target)
        *outer, _ = target.split(".")
        for depth in range(1, len(outer) + 1):
            container = ".".join(outer[:depth])
            if container not in made:
                made.add(container)
                yield _assign(container, "nn.Module()")
        if node.op == "call_module":
            yield _assign(target, _expression(network.get_submodule(target)))


def _tensors(network: nn.Module, graph: fx.Graph) -> Iterator[str]:
    """Yields the lines that make parameters and buffers outside torch's layers."""
    for target in dict.fromkeys(str(n.target) for n in graph.nodes if n.op == "get_attr"):
        outer, _, name = target.rpartition(".")
        tensor = getattr(network.get_submodule(outer), name)
        if not isinstance(tensor, torch.Tensor):
            raise Unexportable(f"it uses {target}, which is no tensor")
        empty = f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"
        owner = _path(outer)
        if isinstance(tensor, nn.Parameter):
            yield f"{owner}.register_parameter({name!r}, nn.Parameter({empty}))"
        else:
            yield f"{owner}.register_buffer({name!r}, {empty})"


def _path(target: str) -> str:
    """Returns the expression for a submodule; one named by a number is no attribute."""
    parts = [part for part in target.split(".") if part]
    return "self" + "".join(
        f".{part}" if part.isidentifier() else f".get_submodule({part!r})" for part in parts
    )


def _assign(target: str, expression: str) -> str:
    outer, _, name = target.rpartition(".")
    if name.isidentifier():
        return f"{_path(target)} = {expression}"
    return f"{_path(outer)}.add_module({name!r}, {expression})"


def _steps(graph: fx.Graph) -> Iterator[str]:
    """Yields the lines of `forward`."""
    for node in graph.nodes:
        arguments = ", ".join(
            [*map(_text, node.args), *(f"{key}={_text(v)}" for key, v in node.kwargs.items())]
        )
        if node.op == "output":
            yield f"return {_text(node.args[0])}"
        elif node.op == "call_module":
            yield f"{node.name} = {_path(str(node.target))}({arguments})"
        elif node.op == "get_attr":
            yield f"{node.name} = {_path(str(node.target))}"
        elif node.op == "call_method":
            first, *rest = node.args
            others = [*map(_text, rest), *(f"{key}={_text(v)}" for key, v in node.kwargs.items())]
            yield f"{node.name} = {_text(first)}.{node.target}({', '.join(others)})"
        elif node.op == "call_function":
            yield f"{node.name} = {_function(node.target)}({arguments})"


def _function(target: Any) -> str:
    module, name = getattr(target, "__module__", None), target.__name__
    if module == "_operator":
        return f"operator.{name}"
    for prefix, holder in (("torch", torch), ("nn.functional", nn.functional)):
        if getattr(holder, name, None) is target:
            return f"{prefix}.{name}"
    if module == "builtins":
        return cast("str", name)
    raise Unexportable(f"it calls {module}.{name}")


def _text(value: Any) -> str:
    if isinstance(value, fx.Node):
        return value.name
    if isinstance(value, tuple | list):
        inner = ", ".join(map(_text, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if value else "()"
    if isinstance(value, slice):
        return f"slice({_text(value.start)}, {_text(value.stop)}, {_text(value.step)})"
    if isinstance(value, torch.dtype) or is_plain(value):
        return repr(value)
    raise Unexportable(f"it uses the value {value!r}")


def _expression(layer: nn.Module) -> str:
    """Returns the call that makes a layer of torch's own again."""
    if type(layer) is nn.Sequential:
        children = list(layer.named_children())
        if [name for name, _ in children] == [str(i) for i in range(len(children))]:
            return f"nn.Sequential(\n{_block(_expression(child) for _, child in children)})"
        named = _block(f"{name}={_expression(child)}" for name, child in children)
        return f"nn.Sequential(OrderedDict(\n{named}))"
    given = []
    for name, parameter in inspect.signature(type(layer).__init__).parameters.items():
        if name in {"self", "device", "dtype"}:
            continue
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise Unexportable(f"{type(layer).__name__} takes any arguments")
        value = getattr(layer, name, Unexportable)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        if name in SIZES and isinstance(value, tuple) and len(set(value)) == 1:
            value = value[0]
        if value is Unexportable or not is_plain(value):
            raise Unexportable(f"the argument {name} of {type(layer).__name__} cannot be read")
        if parameter.default is parameter.empty:
            given.append(repr(value))
        elif parameter.default != value:
            given.append(f"{name}={value!r}")
    return f"nn.{type(layer).__name__}({', '.join(given)})"
