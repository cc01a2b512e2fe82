"""Which model answers, and what it can do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vitruvius.agents.client import ModelClient, Question, Reply
from vitruvius.agents.endpoint import DUMMY_KEY, Endpoint, find_address
from vitruvius.agents.reader import json_values
from vitruvius.agents.transport import (
    BadReply,
    ContextFull,
    RequestRefused,
    TransportFailed,
    classified,
)
from vitruvius.errors import ConfigError
from vitruvius.memory.records import ModelCall

Mode = Literal["tools", "json_schema", "text"]

# Taken by `auto` at OpenAI's own endpoint, where many models are served.
OPENAI_CHOICE = "gpt-5-mini"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Which model takes the chairs. `endpoint` None: the analyst. `words` say it to people."""

    endpoint: Endpoint | None
    words: str


def resolve_model(
    name: str | None,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = 120.0,
) -> Resolved:
    """Returns the endpoint that a model name stands for, or the analyst.

    Args:
        name: `analyst`, `auto`, or a model's name. `auto` takes the configured endpoint if one is
            configured and answers, else the analyst; it asks the endpoint what it serves.
        base_url: wins over `OPENAI_API_BASE` and `OPENAI_BASE_URL`.
        api_key: wins over `OPENAI_API_KEY`; may be missing where there is a base URL.
        timeout_s: longest silence that a call bears.

    Raises:
        ConfigError: a model is named but no endpoint is configured, or the URL is not one.
    """
    if name == "analyst":
        return Resolved(endpoint=None, words="The built-in analyst takes both chairs.")
    address = find_address(base_url, api_key)
    if name not in (None, "", "auto"):
        if address is None:
            raise ConfigError(
                f"model {name!r} needs an endpoint: set OPENAI_API_KEY, or OPENAI_BASE_URL for "
                "another server (any key will do there), or use --model analyst"
            )
        endpoint = Endpoint(
            model=str(name), base_url=address[0], api_key=address[1], timeout_s=timeout_s
        )
        return Resolved(endpoint=endpoint, words=f"{name} at {endpoint.where} takes both chairs.")
    if address is None:
        return Resolved(
            endpoint=None,
            words="The built-in analyst takes both chairs: no model endpoint is configured "
            "(OPENAI_API_KEY, OPENAI_BASE_URL).",
        )
    return _automatic(Endpoint(model="?", base_url=address[0], api_key=address[1]), timeout_s)


def _automatic(probe_at: Endpoint, timeout_s: float) -> Resolved:
    try:
        served = served_models(probe_at)
    except (TransportFailed, ConfigError) as error:
        return Resolved(
            endpoint=None,
            words=f"The built-in analyst takes both chairs: {error}",
        )
    model, note = _choice(probe_at, served)
    endpoint = Endpoint(
        model=model,
        base_url=probe_at.base_url,
        api_key=probe_at.api_key,
        timeout_s=timeout_s,
    )
    return Resolved(
        endpoint=endpoint, words=f"{model} at {endpoint.where} takes both chairs ({note})."
    )


def _choice(endpoint: Endpoint, served: Sequence[str]) -> tuple[str, str]:
    if endpoint.is_openai and OPENAI_CHOICE in served:
        return OPENAI_CHOICE, "the usual choice there; name another with --model"
    if not served:
        return "default", "the endpoint lists no models; name one with --model"
    if len(served) == 1:
        return served[0], "the model that it serves"
    return served[0], f"the first of {len(served)} that it serves; name another with --model"


def served_models(endpoint: Endpoint, *, timeout_s: float = 5.0) -> list[str]:
    """Returns the names of the models that an endpoint lists; none if it keeps no list.

    Raises:
        TransportFailed: if it cannot be reached.
        ConfigError: if it refuses the key.
    """
    import openai

    with openai.OpenAI(
        api_key=endpoint.api_key or DUMMY_KEY,
        base_url=endpoint.base_url or "https://api.openai.com/v1",
        timeout=timeout_s,
        max_retries=1,
    ) as client:
        try:
            return [model.id for model in client.models.list().data or ()]
        except openai.NotFoundError:
            return []
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise classified(error, endpoint) from error


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
