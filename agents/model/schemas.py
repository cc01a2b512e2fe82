"""JSON schemas of the tools and edits, cut to what the run's space and state allow.

They are plain and flat (no `$ref`), so that grammar-constrained servers take them, and as narrow as
the state is known: a server that keeps to them cannot write an illegal architecture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.decisions import LEAST_TO_AUDIT
from vitruvius.tools.calls.validate import Ground

Schema = dict[str, Any]

# Long enough for a reason, short enough that a weak model's run-away string ends.
_TEXT: Schema = {"type": "string", "minLength": 3, "maxLength": 300}
MAX_EDITS = 4


def _object(properties: Mapping[str, Schema], optional: Sequence[str] = ()) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, at_most: int, at_least: int = 1) -> Schema:
    return {"type": "array", "items": items, "minItems": at_least, "maxItems": at_most}


def _enum(names: Sequence[Any]) -> Schema:
    kind = "integer" if names and isinstance(names[0], int) else "string"
    return {"type": kind, "enum": list(names)}


def architecture_schema(space: SearchSpace) -> Schema:
    """Returns the schema of one architecture; exact for spaces of fixed form."""
    if not space.slots:
        return {"type": "object", "description": "one architecture, as the space describes it"}
    return _object({slot.name: _enum(slot.names) for slot in space.slots})


def rule_schema(space: SearchSpace) -> Schema:
    """Returns the schema of a rule over the features of a space."""
    conditions = [
        _object({"slot": _enum([slot.name]), "choices": _list(_enum(slot.names), len(slot.names))})
        for slot in space.slots
    ]
    named = [feature.name for feature in space.features if feature.slot is None]
    if named:
        number: Schema = {"type": "number"}
        conditions += [
            _object({"feature": _enum(named), "at_least": number}),
            _object({"feature": _enum(named), "at_most": number}),
            _object({"feature": _enum(named), "trend": _enum(["up", "down"])}),
        ]
    condition = {"anyOf": conditions} if len(conditions) > 1 else conditions[0]
    return _object({"stance": _enum(["require", "avoid"]), "all": _list(condition, 3)})


def most_to_train(ground: Ground) -> int:
    """Returns how many architectures one decision may train: k, or the trials that are left."""
    return ground.k if ground.trials_left is None else min(ground.k, ground.trials_left)


def decision_schemas(ground: Ground) -> dict[str, tuple[str, Schema]]:
    """Returns the tools that can be used now: name to description and schema of arguments."""
    one = architecture_schema(ground.space)
    many = most_to_train(ground)
    tools: dict[str, tuple[str, Schema]] = {}
    if many > 0:
        tools["train"] = (
            f"Train 1 to {many} new architectures for real and learn their validation score. "
            "Costs one trial each.",
            _object({"reason": _TEXT, "architectures": _list(one, many)}),
        )
    if ground.proxies:
        tools["proxy"] = (
            "Compute training-free scores of architectures: cheap, weakly related to the score.",
            _object(
                {
                    "reason": _TEXT,
                    "proxies": _list(_enum(ground.proxies), len(ground.proxies)),
                    "architectures": _list(one, 16),
                }
            ),
        )
    tools["recall"] = (
        "Search the memory of principles, those of earlier runs included.",
        _object({"reason": _TEXT, "query": _TEXT}),
    )
    if len(ground.evaluated) >= LEAST_TO_AUDIT and ground.audited is None:
        tools["audit"] = (
            "Audit the space by the results so far: what decides, what has no effect, which cuts "
            "would keep the best. These become candidate principles. Costs nothing.",
            _object({"reason": _TEXT}),
        )
    cuttable = [name for name in ground.principles if name not in ground.cuts.values()]
    actions: list[Schema] = []
    if cuttable:
        actions.append(_object({"action": _enum(["cut"]), "principle": _enum(cuttable)}))
    if ground.cuts:
        actions.append(_object({"action": _enum(["undo"]), "cut": _enum(list(ground.cuts))}))
    if actions:
        tools["prune"] = (
            "Cut the space by a principle; done only if the trials license it. Or undo a cut.",
            _merged(actions),
        )
    return tools


def _merged(actions: Sequence[Schema]) -> Schema:
    """One flat object for the actions of prune: native tools must be objects, not unions."""
    names = [action["properties"]["action"]["enum"][0] for action in actions]
    properties: dict[str, Schema] = {"reason": _TEXT, "action": _enum(names)}
    extra: list[str] = []
    for action in actions:
        for name, schema in action["properties"].items():
            if name != "action":
                properties[name] = schema
                extra.append(name)
    return _object(properties, optional=extra if len(actions) > 1 else ())


def edit_schemas(ground: Ground) -> dict[str, tuple[str, Schema]]:
    """Returns the edits that can be made now, in the form of `decision_schemas`."""
    rule = rule_schema(ground.space)
    words: dict[str, Schema] = {"rationale": _TEXT, "statement": _TEXT, "rule": rule}
    edits = {"add": ("A new principle.", _object(words))}
    known = list(ground.principles)
    if known:
        name = {"principle": _enum(known)}
        edits["revise"] = ("Another statement and rule for a principle.", _object(name | words))
        edits["narrow"] = ("A principle under further conditions.", _object(name | words))
        edits["retire"] = (
            "A principle is given up.",
            _object(name | {"rationale": _TEXT}),
        )
    if len(known) > 1:
        several = {"principles": _list(_enum(known), min(6, len(known)), at_least=2)}
        edits["merge"] = ("Several principles become one.", _object(several | words))
    return edits


def tagged(schemas: Mapping[str, tuple[str, Schema]], key: str) -> Schema:
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


def decision_union(ground: Ground) -> Schema:
    """Returns the schema of `{"decision": one tool call}`."""
    return _object({"decision": tagged(decision_schemas(ground), "tool")})


def edits_union(ground: Ground) -> Schema:
    """Returns the schema of `{"edits": [edit, ...]}`; no edit is allowed."""
    return edits_of(edit_schemas(ground), MAX_EDITS, at_least=0)


def edits_of(schemas: Mapping[str, tuple[str, Schema]], at_most: int, at_least: int) -> Schema:
    """Returns the schema of `{"edits": [edit, ...]}`, the edits in the form of `edit_schemas`."""
    return _object({"edits": _list(tagged(schemas, "edit"), at_most, at_least)})


def native_tools(schemas: Mapping[str, tuple[str, Schema]]) -> list[Schema]:
    """Returns the calls as native tools of the chat-completions protocol."""
    return [
        {
            "type": "function",
            "function": {"name": name, "description": description, "parameters": schema},
        }
        for name, (description, schema) in schemas.items()
    ]


def in_words(schemas: Mapping[str, tuple[str, Schema]], key: str) -> str:
    """Returns the calls for a model that must write them as text: one line and schema each."""
    lines = []
    for name, (description, schema) in schemas.items():
        example = {key: name} | {part: _sketch(inner) for part, inner in _required(schema)}
        lines.append(f"- {name}: {description}\n  {json.dumps(example)}")
    return "\n".join(lines)


def _required(schema: Schema) -> list[tuple[str, Schema]]:
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
