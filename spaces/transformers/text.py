"""FlexiBERT architectures in words: description, drawing, and reading of untrusted data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vitruvius.errors import ToolError
from vitruvius.spaces.space import Feature
from vitruvius.spaces.transformers.form import BuiltAs, BuiltLayer, Layer, Layers, Menu, written

_OPERATIONS = {
    "sdp": "self-attention with scaled dot products",
    "wma": "self-attention with a further matrix between queries and keys",
    "dft": "linear layer and Fourier transform over tokens and each head's features",
    "dct": "linear layer and cosine transform likewise (heads have no effect and read {first})",
    "dsc5": "half self-attention, half convolution over 5 tokens with token-dependent weights",
    "dsc9": "the same over 9 tokens",
    "dsc13": "the same over 13 tokens",
}
_SPECIFIED = "A layer mixes the tokens by its operation, then feeds each token forward."
_TRAINED = (
    "These are the networks behind the published scores: whatever was specified, every operation is"
    " self-attention (operation has no effect and reads {operation}), and the first feed-forward"
    " layer is four times as wide as the hidden size, so that ff_width has an effect on extra"
    " layers only (and reads {width} where ff_layers is 1)."
)


def described(name: str, menu: Menu, built_as: BuiltAs, features: Sequence[Feature]) -> str:
    """Returns the description of a space: form, choices, features."""
    about = _SPECIFIED if built_as == "specified" else _TRAINED
    lines = [
        f"Space {name}. Transformer encoders of FlexiBERT. "
        + about.format(operation=menu.operations[0], width=menu.ff_widths[0]),
        "",
        f"An architecture is {_form(menu)}. There are {_or(menu.depths)} layers. Choices:",
        f"- hidden: {_listed(menu.hidden)}",
        f"- operation: {_listed(menu.operations)}",
        f"- heads: {_listed(menu.heads)}",
        f"- ff_width: {_listed(menu.ff_widths)}, width of the feed-forward layers",
        f"- ff_layers: {_listed(menu.ff_layers)}, how many of them before the one that leads back",
    ]
    lines.append(f"For example {_example(menu)}")
    if built_as == "specified":
        lines += ["", "Operations:"]
        first = menu.heads[0]
        lines += [f"- {name}: {_OPERATIONS[name].format(first=first)}" for name in menu.operations]
    lines += ["", "Features:"]
    lines += [f"- {f.name} [{f.kind}]: {f.description}" for f in features]
    return "\n".join(lines)


def drawn(layers: Sequence[BuiltLayer]) -> str:
    """Returns one line for each layer: operation, heads, widths of the feed-forward part."""
    lines = []
    for place, layer in enumerate(layers, start=1):
        widths = " -> ".join(str(w) for w in (layer.hidden, *layer.ff_widths, layer.hidden))
        lines.append(f"layer {place}  {layer.operation:<5}  {layer.heads} heads  {widths}")
    return "\n".join(lines)


def parsed(spec: Any, menu: Menu) -> Layers:
    """Returns the layers of untrusted data, as written.

    Raises:
        ToolError: names every part that is wrong and what is allowed there.
    """
    if not isinstance(spec, Mapping):
        raise ToolError(f"expected {_form(menu)}, got {spec!r:.80}")
    problems: list[str] = []
    common = {} if menu.hidden_by_layer else {"hidden": menu.hidden}
    shared = _chosen(spec, common, "the architecture", problems, besides=("layers",))
    rows = spec.get("layers")
    if not isinstance(rows, list | tuple) or len(rows) not in menu.depths:
        got = f"{len(rows)} of them" if isinstance(rows, list | tuple) else f"{rows!r:.40}"
        problems.append(f"layers must be a list of {_or(menu.depths)} layers, not {got}")
        rows = []
    found = []
    for place, row in enumerate(rows, start=1):
        if isinstance(row, Mapping):
            found.append(_chosen(row, menu.of_layer, f"layer {place}", problems))
        else:
            problems.append(f"layer {place} must be an object, not {row!r:.40}")
    if problems:
        raise ToolError("; ".join(problems))
    return tuple(Layer(**shared, **row) for row in found)


def _chosen(
    row: Mapping[Any, Any],
    menu: Mapping[str, tuple[Any, ...]],
    where: str,
    problems: list[str],
    besides: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Returns the choices that a part of the data makes; notes what is wrong with them."""
    problems += [
        f"{where} has no part {name!r:.40}; its parts are {', '.join((*menu, *besides))}"
        for name in row
        if name not in (*menu, *besides)
    ]
    found = {}
    for name, choices in menu.items():
        given = row.get(name)
        if given in choices and not isinstance(given, bool):
            found[name] = choices[choices.index(given)]
        else:
            got = f"not {given!r:.40}" if name in row else "but is missing"
            problems.append(f"{name} of {where} must be one of {_listed(choices)}, {got}")
    return found


def _form(menu: Menu) -> str:
    layer = ", ".join(f'"{name}": ...' for name in menu.of_layer)
    common = "" if menu.hidden_by_layer else '"hidden": ..., '
    return f'an object {{{common}"layers": [{{{layer}}}, ...]}}'


def _example(menu: Menu) -> str:
    hidden = {"hidden": menu.hidden[0]}
    ends = [{name: choices[end] for name, choices in menu.of_layer.items()} for end in (0, -1)]
    return written(tuple(Layer(**{**hidden, **layer}) for layer in ends), menu).text


def _listed(choices: Sequence[Any]) -> str:
    return ", ".join(map(str, choices))


def _or(numbers: Sequence[int]) -> str:
    return f"{_listed(numbers[:-1])} or {numbers[-1]}"
