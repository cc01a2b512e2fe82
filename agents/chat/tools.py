"""The tools of a conversation: what a model may call, as schemas, and how its calls are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitruvius.agents.chat.plain_words import understood
from vitruvius.spaces.space import SearchSpace
from vitruvius.tools.calls.principle import Principle
from vitruvius.tools.calls.registry import peoples_tools, read_call
from vitruvius.tools.calls.schemas import Offer, schema_of
from vitruvius.tools.questions.registry import QUESTIONS, is_question, read_question


def tool_schemas(space: SearchSpace) -> dict[str, Offer]:
    """Returns every tool of a conversation: name to description and schema of its arguments."""
    asking = {name: (kind.__doc__ or "", schema_of(kind)) for name, kind in QUESTIONS.items()}
    return asking | {name: tool.chat_offer(space) for name, tool in peoples_tools().items()}


def check_call(call: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Returns a tool call that can be carried out, as plain data.

    What is asked of the run is as its ledger keeps it; a principle always has its rule.

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
    asked = read_call(call, space)
    if isinstance(asked, Principle) and asked.rule is None:
        asked = asked.model_copy(update={"rule": understood(asked.statement, space)})
    return asked.kept(space)
