"""A tolerant reader of tool calls and JSON that a model wrote as text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

from vitruvius.errors import VitruviusError

MAX_CHARS = 60_000  # a longer reply is cut: no decision needs that much
MAX_TRIES = 400  # opening brackets looked at, so that hostile text stays cheap

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_LONE_END = re.compile(r"\A.*</(think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>(.*?)</parameter>", re.DOTALL)
_NAMED = re.compile(r"<name>\s*([\w.-]+)\s*</name>\s*<(?:arguments|parameters)>(.*?)</", re.DOTALL)
_OPENING = re.compile(r"[\[{]")
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")

NAME_KEYS = ("tool", "name", "function", "action", "tool_name", "edit")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "action_input", "tool_input")


class UnreadableReply(VitruviusError):
    """The reply holds no JSON that could be a tool call."""


def without_thinking(text: str) -> str:
    """Returns the text without think blocks, unclosed ones and a lone closing tag included."""
    return _LONE_END.sub("", _THINKING.sub("", text))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _decode(text: str, start: int) -> tuple[Any, int] | None:
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None


def json_values(text: str) -> Iterator[Any]:
    """Yields every JSON object and list in the text, outermost only, whatever surrounds them.

    Tags, code fences and prose are skipped. Doubled braces and trailing commas are forgiven where
    the strict reading fails.
    """
    position, tries = 0, 0
    text = text[:MAX_CHARS]
    while tries < MAX_TRIES and (opening := _OPENING.search(text, position)):
        start, tries = opening.start(), tries + 1
        found = _decode(text, start)
        if found is None:
            for value in _mended(text, start):
                yield value
                return
            position = start + 1
            continue
        value, position = found
        yield value


def _mended(text: str, start: int) -> Iterator[Any]:
    rest = text[start:]
    if rest.startswith("{{") and _decode(rest, 1) is None:
        rest = rest.replace("{{", "{").replace("}}", "}")
        if (found := _decode(rest, 0)) is not None:
            yield found[0]
            return
    if rest.startswith("{{"):
        return  # the scan goes on at the second brace, which reads
    smooth = _TRAILING_COMMA.sub(r"\1", rest)
    if smooth != rest and (found := _decode(smooth, 0)) is not None:
        yield found[0]


def read_calls(text: str, names: Collection[str], key: str = "tool") -> list[dict[str, Any]]:
    """Returns the tool calls in a reply, flat: `{key: name, argument: value, ...}`.

    Args:
        text: what the model wrote: `<tool_call>`, `<tools>`, code fences, bare JSON, doubled
            braces, think blocks, `<function=...>` forms are all understood.
        names: the tools that exist. An unknown name is kept: the caller says what is wrong.
        key: where the name goes: `tool` for decisions, `edit` for edits.

    Raises:
        UnreadableReply: if nothing in the text could be a call. Raises nothing else.
    """
    text = without_thinking(text[:MAX_CHARS])
    calls = [
        {
            **{name: _scalar(value) for name, value in _PARAMETER.findall(body)},
            key: name,
        }
        for name, body in _FUNCTION.findall(text)
    ]
    for name, body in _NAMED.findall(text):  # Qwen2.5-Coder 1.5B under a grammar
        arguments = _scalar(body)
        if isinstance(arguments, Mapping):
            calls.append({**arguments, key: name})
    seen = False
    for value in json_values(text) if not calls else ():
        seen = True
        calls.extend(_calls_in(value, names, key, depth=0))
    if calls:
        return calls
    if not text.strip():
        raise UnreadableReply("the reply was empty")
    if seen:
        raise UnreadableReply("the JSON in the reply names no tool")
    if _OPENING.search(text):
        raise UnreadableReply("the reply holds no complete JSON object")
    raise UnreadableReply("the reply is prose and holds no tool call")


def _scalar(text: str) -> Any:
    text = text.strip()
    return found[0] if (found := _decode(text, 0)) and found[1] == len(text) else text


def _calls_in(value: Any, names: Collection[str], key: str, depth: int) -> Iterator[dict[str, Any]]:
    """Yields the calls in one JSON value, through the wrappers that models invent."""
    if depth > 4:
        return
    if isinstance(value, list):
        for item in value:
            yield from _calls_in(item, names, key, depth + 1)
    elif isinstance(value, Mapping):
        call = flatten(value, names, key)
        if call is not None:
            yield call
            return
        for item in value.values():
            if isinstance(item, (Mapping, list)):
                yield from _calls_in(item, names, key, depth + 1)


def flatten(value: Mapping[str, Any], names: Collection[str], key: str) -> dict[str, Any] | None:
    """Returns one call in the flat form, or None if the object is not a call."""
    rest = dict(value)
    for name_key in dict.fromkeys((key, *NAME_KEYS)):
        name = rest.get(name_key)
        if name_key == "function" and isinstance(name, Mapping):
            return flatten(name, names, key)
        if not isinstance(name, str):
            continue
        for argument_key in ARGUMENT_KEYS:
            arguments = rest.get(argument_key)
            if isinstance(arguments, str):
                arguments = _scalar(arguments)
            if isinstance(arguments, Mapping):
                return {**arguments, key: name}
        if name_key == key or name in names:
            del rest[name_key]
            rest.pop("type", None)
            return {**rest, key: name}
    if len(rest) == 1:  # {"train": {...}}
        ((name, arguments),) = rest.items()
        if name in names and isinstance(arguments, Mapping):
            return {**arguments, key: name}
    return None
