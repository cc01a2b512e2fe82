"""One question to a model: sent, retried where the transport failed, read, and accounted for."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio import sleep
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vitruvius.agents.model.endpoint import Endpoint, create_model
from vitruvius.agents.model.tokens import Price, TokenCounter
from vitruvius.agents.model.transport import (
    FAILURES,
    BadReply,
    TransportFailed,
    classified,
    expected,
    retry_after,
)
from vitruvius.memory.records import ModelCall

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable

SCHEMA = "schema: "
Chair = Literal["architect", "theorist", "probe", "chat"]
Hear = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and the form in which an answer is wanted. Never a named tool choice."""

    chair: Chair
    step: int
    system: str
    user: str
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Literal["required", "auto"] = "required"
    schema: Mapping[str, Any] | None = None  # for a grammar-constrained answer
    max_tokens: int | None = None  # of the answer, where less than the endpoint's will do
    hear: Hear | None = None  # called with pieces of a streamed answer as they come

    @property
    def text(self) -> str:
        """Everything that is sent, for the ledger."""
        parts = [self.system, self.user]
        if self.tools:
            parts.append(f"tools: {json.dumps(self.tools)}")
        if self.schema is not None:
            parts.append(f"{SCHEMA}{json.dumps(self.schema)}")
        return "\n\n".join(parts)

    @property
    def said(self) -> str:
        """What is counted as tokens: a schema becomes a grammar at the server, not a prompt."""
        return spoken(self.text)


@dataclass(frozen=True, kw_only=True)
class NativeCall:
    """A tool call of the protocol. `arguments` is JSON text that nobody has repaired."""

    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a model answered."""

    text: str
    calls: tuple[NativeCall, ...]
    finish: str | None  # "length" when it was cut
    refusal: str | None
    tokens_in: int
    tokens_out: int
    has_usage: bool  # the endpoint said how many tokens

    @property
    def shown(self) -> str:
        """The reply as text: calls as JSON, then prose."""
        calls = [f'{{"name": "{call.name}", "arguments": {call.arguments}}}' for call in self.calls]
        return "\n".join([*calls, self.text] if self.text else calls)

    @property
    def is_cut(self) -> bool:
        return self.finish == "length"


class ModelClient:
    """Asks one endpoint. Every attempt becomes a `ModelCall`; keys never reach one."""

    def __init__(self, endpoint: Endpoint, *, price: Price | None = None) -> None:
        self.endpoint = endpoint
        self.counter = TokenCounter(endpoint.model)
        self._price = price
        self._models = {
            streaming: create_model(endpoint, streaming=streaming) for streaming in (False, True)
        }
        self._was_down = False

    def dollars(self, tokens_in: int, tokens_out: int) -> float:
        """Returns what so many tokens cost; 0 where the price is unknown."""
        return self._price.dollars(tokens_in, tokens_out) if self._price else 0.0

    async def ask(
        self, question: Question, log: list[ModelCall], *, streaming: bool = False
    ) -> Reply:
        """Returns the model's reply; each attempt is appended to `log`.

        Rate limits, server errors and broken connections are tried again, `endpoint.retries`
        times; only once altogether right after a question that failed in this way.

        Raises:
            ConfigError: wrong key, unknown model, no credit: no retry can help.
            BadReply: the server could not read what its own model wrote.
            ContextFull: the prompt is too long for the model.
            RequestRefused: the server will not take a request of this form.
            TransportFailed: no reply after all attempts.
        """
        attempts = 1 if self._was_down else 1 + self.endpoint.retries
        wait_s = self.endpoint.backoff_s
        for attempt in range(1, attempts + 1):
            started = time.monotonic()
            try:
                reply = await self._attempt(question, streaming)
            except FAILURES as error:
                log.append(self._call(question, None, time.monotonic() - started, error))
                self._was_down = isinstance(error, TransportFailed)
                if not self._was_down or attempt == attempts:
                    raise
                await self._wait(retry_after(error.__cause__, wait_s))
                wait_s *= 2
            else:
                self._was_down = False
                log.append(self._call(question, reply, time.monotonic() - started, None))
                if reply.has_usage:
                    self.counter.learn(len(question.said), reply.tokens_in)
                return reply
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(self, question: Question, streaming: bool) -> Reply:
        """Returns the reply to one request; raises one of `FAILURES`."""
        try:
            message = await self._send(question, streaming)
        except expected() as error:
            raise classified(error, self.endpoint) from error
        return self._reply(question, message)

    async def _wait(self, seconds: float) -> None:
        await sleep(seconds)

    async def _send(self, question: Question, streaming: bool) -> AIMessage:
        runnable = self._bound(question, streaming)
        messages = [("system", question.system), ("user", question.user)]
        async with asyncio.timeout(5 * self.endpoint.timeout_s):
            if not streaming:
                return await runnable.ainvoke(messages)
            whole: Any = None
            async for chunk in runnable.astream(messages):
                whole = chunk if whole is None else whole + chunk
                if question.hear is not None and chunk.text:
                    question.hear(str(chunk.text))
        if whole is None:
            raise ValueError("an empty stream")
        message: AIMessage = whole
        return message

    def _bound(self, question: Question, streaming: bool) -> Runnable[Any, AIMessage]:
        """Returns the model with the question's tools, schema and length bound to it."""
        model = self._models[streaming]
        form: dict[str, Any] = {}
        body = dict(model.extra_body or {})
        if question.max_tokens is not None and "max_tokens" in body:
            body["max_tokens"] = question.max_tokens
        elif question.max_tokens is not None:
            form["max_tokens"] = question.max_tokens
        if question.schema is not None:
            # Through extra_body: langchain's own way raises away the text and usage of a reply
            # that was cut, and does not stream.
            schema = {"name": "answer", "schema": dict(question.schema), "strict": False}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if body:
            form["extra_body"] = body
        if question.tools:
            tools = [dict(tool) for tool in question.tools]
            return model.bind_tools(tools, tool_choice=question.tool_choice, **form)
        return model.bind(**form)

    def _reply(self, question: Question, message: AIMessage) -> Reply:
        text = message.text if isinstance(message.text, str) else str(message.content)
        calls = native_calls(message)
        usage = message.usage_metadata
        refusal = message.additional_kwargs.get("refusal")
        shown = text + "".join(call.arguments for call in calls)
        count = self.counter.count
        return Reply(
            text=text,
            calls=calls,
            finish=message.response_metadata.get("finish_reason"),
            refusal=str(refusal) if refusal else None,
            tokens_in=usage["input_tokens"] if usage else count(question.said),
            tokens_out=usage["output_tokens"] if usage else count(shown),
            has_usage=usage is not None,
        )

    def _call(
        self, question: Question, reply: Reply | None, wall_s: float, error: Exception | None
    ) -> ModelCall:
        # A reply that the server itself could not read was generated all the same.
        spent_unseen = self.counter.count(question.said) if isinstance(error, BadReply) else 0
        tokens_in = reply.tokens_in if reply else spent_unseen
        tokens_out = reply.tokens_out if reply else 0
        redact = self.endpoint.redact
        return ModelCall(
            chair=question.chair,
            step=question.step,
            model=self.endpoint.model,
            prompt=redact(question.text),
            reply=redact(reply.shown if reply else ""),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            tokens_estimated=not reply.has_usage if reply else spent_unseen > 0,
            dollars=self.dollars(tokens_in, tokens_out),
            wall_s=wall_s,
            error=redact(str(error)) if error else None,
            answer=_parts(reply, error, redact),
        )


def spoken(text: str) -> str:
    """Returns the text of a question without its schema, which becomes a grammar, not tokens."""
    head, _, _ = text.partition(f"\n\n{SCHEMA}")
    return head


def _parts(
    reply: Reply | None, error: Exception | None, redact: Callable[[str], str]
) -> dict[str, Any]:
    """Returns what a replay needs to have the same reply, or the same failure, again."""
    if reply is None:
        return {"failed": type(error).__name__}
    return {
        "text": redact(reply.text),
        "calls": [[call.name, redact(call.arguments)] for call in reply.calls],
        "finish": reply.finish,
        "refusal": redact(reply.refusal) if reply.refusal else None,
    }


def native_calls(message: AIMessage) -> tuple[NativeCall, ...]:
    """Returns the tool calls of a message with their arguments as the model wrote them.

    A streamed message keeps the raw text in chunks; its `tool_calls` were repaired silently, cut
    ones included.
    """
    chunks = getattr(message, "tool_call_chunks", None)
    if chunks is not None:
        return tuple(
            NativeCall(name=chunk["name"] or "", arguments=chunk["args"] or "{}")
            for chunk in chunks
        )
    whole = [
        NativeCall(name=call["name"], arguments=json.dumps(call["args"]))
        for call in message.tool_calls
    ]
    broken = [
        NativeCall(name=call["name"] or "", arguments=call["args"] or "")
        for call in message.invalid_tool_calls
    ]
    return (*whole, *broken)
