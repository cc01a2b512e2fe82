"""Untrusted data of a model or a person; what is wrong with them becomes one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from vitruvius.errors import ToolError
from vitruvius.memory.records import DecisionStatus


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
