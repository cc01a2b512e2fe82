"""The schema that a model is given for a call, and how what it wrote is read against it.

Schemas are plain and flat (no `$ref`), as narrow as the space is known: grammar-constrained servers
take nothing else, and one that keeps to them cannot write an illegal architecture. What is wrong
with untrusted data becomes one sentence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vitruvius.errors import ToolError
from vitruvius.memory.records import DecisionStatus
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


class Problem(ToolError):
    """What is wrong with a proposal: a status for the ledger, a sentence that tells the author."""

    def __init__(self, status: DecisionStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def loosened(data: object) -> object:
    """Unwraps lists and objects that a model sent as JSON text, and a lone architecture."""
    if not isinstance(data, Mapping):
        return data
    loose = {key: value for key, value in data.items() if value is not None}
    for key in ("architectures", "proxies", "rule", "principles"):
        value = loose.get(key)
        if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
            try:
                loose[key] = json.loads(value)
            except (ValueError, RecursionError):
                continue
    if isinstance(loose.get("architectures"), Mapping):
        loose["architectures"] = [loose["architectures"]]
    return loose


def read_kind(data: object, key: str, names: Sequence[str]) -> str:
    """Returns the name under `key` that says what the data are.

    Raises:
        Problem: there is none, or no such kind.
    """
    if not isinstance(data, Mapping):
        sentence = f"expected one JSON object with {key!r}, got {type(data).__name__}"
        raise Problem(DecisionStatus.INVALID, sentence)
    name = data.get(key)
    if not isinstance(name, str) or name not in names:
        choose = f"choose one of: {', '.join(names)}"
        raise Problem(DecisionStatus.INVALID, f"there is no {key} {short(name)}; {choose}")
    return name


def sentence_of(error: ValidationError, name: str, *, is_union: bool = False) -> str:
    """Returns what is wrong with data of a kind, for its author.

    Args:
        error: of reading them.
        name: of the kind.
        is_union: whether they were read as one of several kinds, whose tag begins each place.
    """
    found = error.errors(include_url=False)[:3]
    parts = [_part(details, int(is_union)) for details in found]
    return f"{name}: {'; '.join(dict.fromkeys(parts))}"


def _part(details: ErrorDetails, skip: int) -> str:
    # Tags of inner unions carry no name that the author wrote.
    path = [str(s) for s in details["loc"][skip:] if not str(s).endswith("Condition")]
    where = ".".join(path) or "the call"
    match details["type"]:
        case "missing":
            return f"argument {where!r} is missing"
        case "value_error" if not path:
            return details["msg"].removeprefix("Value error, ")
        case "extra_forbidden":
            return f"there is no argument {where!r}"
        case _:
            came = short(details["input"])
            return f"argument {where!r}: {details['msg'].lower()}, got {came}"


def short(value: object, limit: int = 80) -> str:
    """Returns what came, short enough for a sentence."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
