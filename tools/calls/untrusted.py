"""Untrusted data of a model read as decisions and edits; what is wrong becomes one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from vitruvius.errors import ToolError
from vitruvius.memory.edits import Edit
from vitruvius.memory.records import DecisionStatus
from vitruvius.tools.calls.decisions import AnyDecision

TOOLS = ("train", "proxy", "recall", "prune", "audit")
EDITS = ("add", "revise", "narrow", "merge", "retire")

_DECISION: TypeAdapter[AnyDecision] = TypeAdapter(AnyDecision)
_EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


class Problem(ToolError):
    """What is wrong with a proposal: a status for the ledger, a sentence that tells the author."""

    def __init__(self, status: DecisionStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def read_decision(data: object) -> AnyDecision:
    """Returns the decision in untrusted JSON data: `{"tool": name, argument: value, ...}`.

    Raises:
        Problem: invalid; the sentence names the argument that is wrong and what it should be.
    """
    try:
        return _DECISION.validate_python(_loosened(data))
    except ValidationError as error:
        raise Problem(DecisionStatus.INVALID, sentence_of(error, data, "tool", TOOLS)) from error


def read_edit(data: object) -> Edit:
    """Returns the edit in untrusted JSON data: `{"edit": name, argument: value, ...}`.

    Raises:
        Problem: invalid, as `read_decision`.
    """
    try:
        return _EDIT.validate_python(_loosened(data))
    except ValidationError as error:
        raise Problem(DecisionStatus.INVALID, sentence_of(error, data, "edit", EDITS)) from error


def _loosened(data: object) -> object:
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


def sentence_of(error: ValidationError, data: object, key: str, names: Sequence[str]) -> str:
    """Returns what is wrong with data whose kind stands under `key`, for its author."""
    if not isinstance(data, Mapping):
        return f"expected one JSON object with {key!r}, got {type(data).__name__}"
    if data.get(key) not in names:
        return f"there is no {key} {short(data.get(key))}; choose one of: {', '.join(names)}"
    parts = [_part(details) for details in error.errors(include_url=False)[:3]]
    return f"{data[key]}: {'; '.join(dict.fromkeys(parts))}"


def _part(details: ErrorDetails) -> str:
    # The first step is the union's tag; tags of inner unions carry no name that the author wrote.
    path = [str(step) for step in details["loc"][1:] if not str(step).endswith("Condition")]
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
