"""Parts of JSON schemas for models: plain and flat (no `$ref`), as narrow as the space is known.

Grammar-constrained servers take nothing else, and one that keeps to them cannot write an illegal
architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from vitruvius.spaces.space import SearchSpace

Schema = dict[str, Any]
Offer = tuple[str, Schema]  # what a tool does, and the schema of its arguments

# Long enough for a reason, short enough that a weak model's run-away string ends.
TEXT: Schema = {"type": "string", "minLength": 3, "maxLength": 300}
_KEPT = ("type", "enum", "description", "items", "minimum", "maximum", "minItems", "maxItems")


def object_of(properties: Mapping[str, Schema], optional: Sequence[str] = ()) -> Schema:
    """Returns a closed object, all of whose properties must be given but the optional ones."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def list_of(items: Schema, at_most: int, at_least: int = 1) -> Schema:
    """Returns a list within bounds."""
    return {"type": "array", "items": items, "minItems": at_least, "maxItems": at_most}


def one_of(names: Sequence[Any]) -> Schema:
    """Returns a choice of names, or of integers."""
    kind = "integer" if names and isinstance(names[0], int) else "string"
    return {"type": kind, "enum": list(names)}


def architecture_schema(space: SearchSpace) -> Schema:
    """Returns the schema of one architecture; exact for spaces of fixed form."""
    if not space.slots:
        return {"type": "object", "description": "one architecture, as the space describes it"}
    return object_of({slot.name: one_of(slot.names) for slot in space.slots})


def rule_schema(space: SearchSpace) -> Schema:
    """Returns the schema of a rule over the features of a space."""
    conditions = [
        object_of(
            {"slot": one_of([slot.name]), "choices": list_of(one_of(slot.names), len(slot.names))}
        )
        for slot in space.slots
    ]
    named = [feature.name for feature in space.features if feature.slot is None]
    if named:
        number: Schema = {"type": "number"}
        conditions += [
            object_of({"feature": one_of(named), "at_least": number}),
            object_of({"feature": one_of(named), "at_most": number}),
            object_of({"feature": one_of(named), "trend": one_of(["up", "down"])}),
        ]
    condition = {"anyOf": conditions} if len(conditions) > 1 else conditions[0]
    return object_of({"stance": one_of(["require", "avoid"]), "all": list_of(condition, 3)})


def schema_of(kind: type[BaseModel]) -> Schema:
    """Returns the arguments of a class as a flat object: no titles, no null, no tool's name."""
    whole = kind.model_json_schema()
    properties = {
        name: _flat(part) for name, part in whole.get("properties", {}).items() if name != "tool"
    }
    return object_of(properties, [n for n in properties if n not in whole.get("required", ())])


def _flat(part: Mapping[str, Any]) -> Schema:
    inner: Schema = next((one for one in part.get("anyOf", ()) if one.get("type") != "null"), {})
    return {name: value for name, value in {**inner, **part}.items() if name in _KEPT}
