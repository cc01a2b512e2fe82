"""Tools and edits as a model is told of them: schemas of edits, unions, native tools, words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vitruvius.tools.calls.registry import offers
from vitruvius.tools.calls.schemas import (
    TEXT,
    Offer,
    Schema,
    list_of,
    object_of,
    one_of,
    rule_schema,
)
from vitruvius.tools.calls.tool import ProposalContext

MAX_EDITS = 4


def edit_schemas(context: ProposalContext) -> dict[str, Offer]:
    """Returns the edits that can be made now, in the form of `registry.offers`."""
    rule = rule_schema(context.space)
    words: dict[str, Schema] = {"rationale": TEXT, "statement": TEXT, "rule": rule}
    edits = {"add": ("A new principle.", object_of(words))}
    known = list(context.principles)
    if known:
        name = {"principle": one_of(known)}
        edits["revise"] = ("Another statement and rule for a principle.", object_of(name | words))
        edits["narrow"] = ("A principle under further conditions.", object_of(name | words))
        edits["retire"] = (
            "A principle is given up.",
            object_of(name | {"rationale": TEXT}),
        )
    if len(known) > 1:
        several = {"principles": list_of(one_of(known), min(6, len(known)), at_least=2)}
        edits["merge"] = ("Several principles become one.", object_of(several | words))
    return edits


def tagged(schemas: Mapping[str, Offer], key: str) -> Schema:
    """Returns one schema for any of the calls, told apart by `key`, which comes first."""
    calls = [
        {
            **schema,
            "properties": {key: {"type": "string", "const": name}, **schema["properties"]},
            "required": [key, *schema["required"]],
        }
        for name, (_, schema) in schemas.items()
    ]
    return {"anyOf": calls} if len(calls) > 1 else calls[0]


def decision_union(context: ProposalContext) -> Schema:
    """Returns the schema of `{"decision": one tool call}`."""
    return object_of({"decision": tagged(offers(context), "tool")})


def edits_union(context: ProposalContext) -> Schema:
    """Returns the schema of `{"edits": [edit, ...]}`; no edit is allowed."""
    return edits_of(edit_schemas(context), MAX_EDITS, at_least=0)


def edits_of(schemas: Mapping[str, Offer], at_most: int, at_least: int) -> Schema:
    """Returns the schema of `{"edits": [edit, ...]}`, the edits in the form of `edit_schemas`."""
    return object_of({"edits": list_of(tagged(schemas, "edit"), at_most, at_least)})


def native_tools(schemas: Mapping[str, Offer]) -> list[Schema]:
    """Returns the calls as native tools of the chat-completions protocol."""
    return [
        {
            "type": "function",
            "function": {"name": name, "description": description, "parameters": schema},
        }
        for name, (description, schema) in schemas.items()
    ]


def in_words(schemas: Mapping[str, Offer], key: str) -> str:
    """Returns the calls for a model that must write them as text: one line and schema each."""
    lines = []
    for name, (description, schema) in schemas.items():
        example = {key: name} | {part: _sketch(inner) for part, inner in _required(schema)}
        lines.append(f"- {name}: {description}\n  {json.dumps(example)}")
    return "\n".join(lines)


def _required(schema: Schema) -> list[Offer]:
    return [(name, inner) for name, inner in schema["properties"].items()]


def _sketch(schema: Schema) -> Any:
    """Returns the shape of a value, filled with what is allowed there."""
    if "anyOf" in schema:
        return _sketch(schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0] if len(schema["enum"]) == 1 else "|".join(map(str, schema["enum"]))
    match schema.get("type"):
        case "object":
            return {name: _sketch(inner) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [_sketch(schema["items"])]
        case "number":
            return 0
        case _:
            return "..."
