"""The tools of a conversation: what a model may call, as schemas, and how its calls are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitruvius.agents.chat.plain_words import understood
from vitruvius.agents.model.schemas import Schema, architecture_schema, rule_schema
from vitruvius.budget import parse_budget
from vitruvius.errors import ConfigError, ToolError
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.wishes import PrincipleWish, fit, read_wish
from vitruvius.tools.questions.asking import QUESTIONS, is_question, read_question

MOST_AT_ONCE = 4  # architectures in one call to train
_TEXT: Schema = {"type": "string", "minLength": 3, "maxLength": 300}
_NAME: Schema = {"type": "string", "description": "a principle, like P3"}
_KEPT = ("type", "enum", "description", "items", "minimum", "maximum", "minItems", "maxItems")


def tool_schemas(space: SearchSpace) -> dict[str, tuple[str, Schema]]:
    """Returns every tool of a conversation: name to description and schema of its arguments."""
    asking = {name: (kind.__doc__ or "", _schema_of(kind)) for name, kind in QUESTIONS.items()}
    return asking | _acting(space)


def _schema_of(kind: Any) -> Schema:
    """Returns the arguments of a question as a flat object: no titles, no null."""
    whole = kind.model_json_schema()
    properties = {
        name: _flat(part) for name, part in whole.get("properties", {}).items() if name != "tool"
    }
    return _object(properties, [name for name in whole.get("required", ()) if name != "tool"])


def _flat(part: Mapping[str, Any]) -> Schema:
    inner: Schema = next((one for one in part.get("anyOf", ()) if one.get("type") != "null"), {})
    return {name: value for name, value in {**inner, **part}.items() if name in _KEPT}


def _object(properties: Mapping[str, Schema], required: list[str]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def _acting(space: SearchSpace) -> dict[str, tuple[str, Schema]]:
    rule, one = rule_schema(space), architecture_schema(space)
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_AT_ONCE}
    return {
        "train": (
            "Train new architectures for real. Costly: the person is asked first.",
            _object({"architectures": many, "reason": _TEXT}, ["architectures"]),
        ),
        "prune": (
            "Cut the space by a principle (action cut), done only if the trials license it; or "
            "undo a cut (action undo). The person is asked first.",
            _object(
                {
                    "action": {"type": "string", "enum": ["cut", "undo"]},
                    "principle": _NAME,
                    "cut": {"type": "integer", "description": "to undo: the cut's number"},
                    "reason": _TEXT,
                },
                ["action"],
            ),
        ),
        "principle": (
            "State a principle for the person: their words and the rule that you understand. They "
            "see the rule and may correct it; then trials measure it like any other.",
            _object({"statement": _TEXT, "rule": rule}, ["statement", "rule"]),
        ),
        "retire": ("Give a principle up.", _object({"principle": _NAME}, ["principle"])),
        "note": ("Leave a note for the architect of the run.", _object({"text": _TEXT}, ["text"])),
        "fork": (
            "Make a new run that shares what is known up to a step, and goes its own way.",
            _object(
                {
                    "at": {"type": "integer", "description": "a step; default now"},
                    "budget": {"type": "string", "description": "like '60 trials, 8h'"},
                },
                [],
            ),
        ),
    }


def check_call(call: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Returns a tool call that can be carried out, as plain data.

    Args:
        call: untrusted: `{"tool": name, argument: value, ...}`.
        space: of the run.

    Raises:
        ToolError: in one sentence, what is wrong with it and what would be right.
    """
    if is_question(call):
        return read_question(call).model_dump(mode="json", exclude_defaults=True) | {
            "tool": call["tool"]
        }
    if call.get("tool") == "fork":
        return _fork(call)
    return check_wish(call, space)


def check_wish(call: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Returns what is asked of the run as its ledger keeps it; a principle always with its rule.

    Raises:
        ToolError: as `check_call`.
    """
    wish = read_wish(call)
    if isinstance(wish, PrincipleWish) and wish.rule is None:
        wish = wish.model_copy(update={"rule": understood(wish.statement, space)})
    return fit(wish, space)


def _fork(call: Mapping[str, Any]) -> dict[str, Any]:
    at = call.get("at")
    if at is not None and (not isinstance(at, int) or isinstance(at, bool) or at < 0):
        raise ToolError(f"fork: 'at' is the number of a step, got {at!r:.40}")
    budget = call.get("budget")
    if budget is not None:
        try:
            parse_budget(str(budget))
        except ConfigError as error:
            raise ToolError(f"fork: {error}") from None
    return {"tool": "fork", "at": at, "budget": budget}
