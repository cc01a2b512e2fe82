"""What an endpoint's model can do, found out by asking it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from vitruvius.agents.model.client import ModelClient, Question, Reply
from vitruvius.agents.model.reader import json_values
from vitruvius.agents.model.transport import BadReply, ContextFull, RequestRefused
from vitruvius.memory.records import ModelCall

Mode = Literal["tools", "json_schema", "text"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an endpoint's model was seen to do."""

    tools: bool = False  # native tool calls, with the arguments that were asked for
    json_schema: bool = False  # keeps to a schema that the prompt does not mention
    streaming: bool = False
    usage: bool = False  # says how many tokens a call took
    tool_choice: Literal["required", "auto"] = "required"
    note: str = ""

    @property
    def mode(self) -> Mode:
        """How decisions are asked for."""
        return "tools" if self.tools else "json_schema" if self.json_schema else "text"


# The shape of a real decision, small: a model that fails here writes no decisions as tools.
_PLACE = {
    "type": "object",
    "properties": {
        "first": {"type": "string", "enum": ["conv", "pool", "skip"]},
        "second": {"type": "string", "enum": ["conv", "pool", "skip"]},
    },
    "required": ["first", "second"],
}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "train",
            "description": "Train architectures.",
            "parameters": {
                "type": "object",
                "properties": {"architectures": {"type": "array", "items": _PLACE}},
                "required": ["architectures"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "recall",
            "description": "Search the memory.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}},
                "required": ["query"],
            },
        },
    },
]
_WANTED = {"architectures": [{"first": "conv", "second": "skip"}]}
_SCHEMA = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["green-17"]}},
    "required": ["colour"],
    "additionalProperties": False,
}


async def probe(client: ModelClient, log: list[ModelCall] | None = None) -> Capabilities:
    """Returns what the model of an endpoint can do, by at most four short questions.

    Args:
        client: the endpoint's client.
        log: the calls are appended to it.

    Raises:
        ConfigError: wrong key or unknown model.
        TransportFailed: if it cannot be reached.
    """
    calls = [] if log is None else log
    tools, tool_choice, notes = False, "required", []
    for choice in ("required", "auto"):
        reply, why = await _try(client, calls, _tool_question(choice))
        if reply is not None and _called(reply):
            tools, tool_choice = True, choice
            break
        notes.append(f"tools ({choice}): {why or 'no right call'}")
    schema_reply, why = await _try(client, calls, _SCHEMA_QUESTION)
    json_schema = schema_reply is not None and _kept_schema(schema_reply)
    if not json_schema:
        notes.append(f"json_schema: {why or 'not kept to'}")
    streamed, why = await _try(client, calls, _PLAIN_QUESTION, streaming=True)
    streaming = streamed is not None and bool(streamed.text)
    if not streaming:
        notes.append(f"streaming: {why or 'no text'}")
    return Capabilities(
        tools=tools,
        tool_choice="required" if tool_choice == "required" else "auto",
        json_schema=json_schema,
        streaming=streaming,
        usage=streamed is not None and streamed.has_usage,
        note="; ".join(notes) or "everything that is used works",
    )


def _question(user: str, **form: object) -> Question:
    system = "You are being tested. Do exactly what is asked, in as few words as possible."
    return Question(chair="probe", step=0, system=system, user=user, **form)  # type: ignore[arg-type]


def _tool_question(choice: str) -> Question:
    return _question(
        "Train one architecture whose first part is conv and whose second part is skip. "
        "Use the tool train.",
        tools=_TOOLS,
        tool_choice=choice,
        max_tokens=512,
    )


_SCHEMA_QUESTION = _question("Name a colour, as JSON.", schema=_SCHEMA, max_tokens=512)
_PLAIN_QUESTION = _question("Say ok.", max_tokens=512)


async def _try(
    client: ModelClient, log: list[ModelCall], question: Question, *, streaming: bool = False
) -> tuple[Reply | None, str]:
    try:
        return await client.ask(question, log, streaming=streaming), ""
    except (BadReply, ContextFull, RequestRefused) as error:
        return None, str(error)


def _called(reply: Reply) -> bool:
    for call in reply.calls:
        if call.name == "train":
            try:
                return bool(json.loads(call.arguments) == _WANTED)
            except ValueError:
                return False
    return False


def _kept_schema(reply: Reply) -> bool:
    return next(json_values(reply.text), None) == {"colour": "green-17"}
