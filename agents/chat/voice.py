"""A model in conversation: one step of a turn, in words or as tool calls, mended where it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from vitruvius.agents.chairs.prompt import prompts, template
from vitruvius.agents.chat.prompt import ASK, ASK_WITHOUT_TOOLS, render_page
from vitruvius.agents.model.capabilities import Capabilities, probe
from vitruvius.agents.model.client import ModelClient, Question, Reply
from vitruvius.agents.model.endpoint import ModelSettings
from vitruvius.agents.model.quoting import quoted
from vitruvius.agents.model.reader import UnreadableReply, json_values, read_calls, without_thinking
from vitruvius.agents.model.resolving import at_hand, resolve_model
from vitruvius.agents.model.schemas import in_words, native_tools
from vitruvius.agents.model.tokens import price_of
from vitruvius.agents.model.transport import BadReply, ContextFull, TransportFailed
from vitruvius.errors import ToolError
from vitruvius.memory.ledger.requests import Message
from vitruvius.memory.records import ModelCall
from vitruvius.tools.calls.schemas import Offer
from vitruvius.tools.questions.book import Book

MENDS = 2
LEAST_PAGE = 600  # tokens
MOST_CALLS = 4  # of one reply

_PROBED: dict[tuple[str | None, str], Capabilities] = {}
Schemas = Mapping[str, Offer]
Hear = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a model said: words, tool calls that were checked, or both."""

    text: str
    calls: Sequence[dict[str, Any]] = ()


@dataclass(kw_only=True)
class ChatVoice:
    """Speaks for one model. What it can do is found out once, by a probe."""

    client: ModelClient
    prompt_tokens: int
    pause_s: float = 1.0  # before the one retry of a request that brought nothing
    _probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        prompts()  # read now: a turn must not block the event loop on files

    @property
    def name(self) -> str:
        return self.client.endpoint.model

    async def say(
        self,
        book: Book,
        messages: Sequence[Message],
        tools: Schemas,
        check: Callable[[Mapping[str, Any]], dict[str, Any]],
        hear: Hear,
        log: list[ModelCall],
    ) -> Said:
        """Returns the model's next words or tool calls.

        Args:
            book: of the run.
            messages: of the conversation, in order.
            tools: that may be called; none: the model must answer in words.
            check: returns a call that can be carried out; raises ToolError with how to mend it.
            hear: called with pieces of the answer as they come.
            log: every call of the model is appended to it.

        Raises:
            ToolError: no usable reply after all attempts.
            ConfigError: the endpoint refuses the key or does not know the model.
            VitruviusError: no reply came.
        """
        mend = ""
        for _ in range(1 + MENDS):
            reply: Reply | None = None
            try:
                reply = await self._ask(book, messages, tools, mend, hear, log)
                return self._read(reply, tools, check)
            except BadReply as error:
                problem = str(error)
            except (UnreadableReply, ToolError) as error:
                problem = str(error)
            shown = quoted(reply.shown, 600) if reply else '""'
            mend = template("mend").substitute(reply=shown, problem=problem)
        raise ToolError(f"{self.name} wrote no answer that can be used: {problem}")

    async def _ask(
        self,
        book: Book,
        messages: Sequence[Message],
        tools: Schemas,
        mend: str,
        hear: Hear,
        log: list[ModelCall],
    ) -> Reply:
        """Asks with a page that fits; halves it where the model's context proves smaller."""
        known = await self._capabilities(log)
        streaming = known.streaming and known.usage
        shown, may_wait = _Shown(hear), True
        while True:
            question = await asyncio.to_thread(
                self._question, book, messages, tools, mend, known, shown
            )
            try:
                reply = await self.client.ask(question, log, streaming=streaming)
                if streaming and reply.finish is None:  # a stream that ends looks like a whole one
                    where = self.client.endpoint.where
                    raise TransportFailed(f"{where} broke off in the middle of its answer")
                return reply
            except TransportFailed:
                if shown.has_begun or not may_wait:  # what was read is not said twice
                    raise
                may_wait = False
                await asyncio.sleep(self.pause_s)
            except ContextFull:
                sent = min(self.client.counter.count(question.said), self.prompt_tokens)
                if sent // 2 < LEAST_PAGE:
                    raise
                self.prompt_tokens = sent // 2

    async def _capabilities(self, log: list[ModelCall]) -> Capabilities:
        """Returns what the model can do; asked once: `run.ask` opens many voices."""
        endpoint = self.client.endpoint
        key = (endpoint.base_url, endpoint.model)
        async with self._probing:
            if key not in _PROBED:
                _PROBED[key] = await probe(self.client, log)
        return _PROBED[key]

    def _question(
        self,
        book: Book,
        messages: Sequence[Message],
        tools: Schemas,
        mend: str,
        known: Capabilities,
        hear: Hear,
    ) -> Question:
        native = native_tools(tools) if known.tools else []
        form = "chat_tools" if known.tools or not tools else "chat_text"
        calls = "" if known.tools else in_words(tools, "tool")
        answer = template(form).safe_substitute(calls=calls)
        system = template("chat").substitute(answer=answer)
        count = self.client.counter.count
        around = count(system) + (count(json.dumps(native)) if native else 0) + count(mend) + 8
        ask = ASK if tools else ASK_WITHOUT_TOOLS
        page = render_page(
            book,
            messages,
            f"{ask}\n\n{mend}".strip(),
            count=count,
            budget=max(self.prompt_tokens - around, LEAST_PAGE),
        )
        return Question(
            chair="chat",
            step=messages[-1].id if messages else 0,
            system=system,
            user=page,
            tools=native,
            tool_choice="auto",
            hear=hear,
        )

    def _read(
        self,
        reply: Reply,
        tools: Schemas,
        check: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> Said:
        """Returns what a reply says; raises where it is empty or its calls cannot be used."""
        text = without_thinking(reply.text).strip()
        found = self._calls(reply, text, tools)
        if found:
            for call in found:
                if call["tool"] not in tools:
                    names = ", ".join(tools) or "none; answer in words"
                    raise ToolError(
                        f"there is no tool {str(call['tool'])!r:.60}; there are: {names}"
                    )
            return Said(
                text=text if reply.calls else "",
                calls=[check(call) for call in found[:MOST_CALLS]],
            )
        if reply.refusal:
            return Said(text=reply.refusal)
        if not text:
            raise UnreadableReply("the reply was empty")
        return Said(text=text)

    def _calls(self, reply: Reply, text: str, tools: Schemas) -> list[dict[str, Any]]:
        if reply.calls:
            return [
                {**_arguments(call.name, call.arguments, reply.is_cut), "tool": call.name}
                for call in reply.calls
            ]
        try:
            written = read_calls(text, tuple(tools), "tool")
        except UnreadableReply:
            return []  # words
        known = [call for call in written if call["tool"] in tools]
        return known or (written if text.startswith("{") else [])


def _arguments(name: str, text: str, is_cut: bool) -> Mapping[str, Any]:
    value = next(json_values(text), None)
    if not isinstance(value, Mapping):
        why = "; it was cut: answer shorter" if is_cut else ""
        raise UnreadableReply(f"the arguments of {name or 'the tool call'} are no JSON object{why}")
    return value


class _Shown:
    """Passes words on as they come; holds back a reply that turns out to be a call or a thought."""

    def __init__(self, hear: Hear) -> None:
        self._hear, self.has_begun, self._held = hear, False, ""

    def __call__(self, piece: str) -> None:
        if self.has_begun:
            self._hear(piece)
            return
        self._held += piece
        start = self._held.lstrip()
        if start and start[0] not in "{[<`":
            self.has_begun = True
            self._hear(start)


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """A voice, None for the analyst, and a sentence that says who speaks."""

    voice: ChatVoice | None
    words: str


def create_speaker(settings: ModelSettings, engines: ExitStack) -> Speaker:
    """Returns who answers. Reads files and may ask the endpoint: call it outside the event loop.

    Args:
        settings: name the model and its endpoint.
        engines: a model file is served until it closes.

    Raises:
        ConfigError: a model is named but no endpoint is configured.
    """
    resolved = engines.enter_context(at_hand(resolve_model(settings), settings))
    words = resolved.words.replace("takes both chairs", "answers")
    if resolved.endpoint is None:
        return Speaker(voice=None, words=words)
    endpoint = replace(resolved.endpoint, retries=0)  # a person is there to ask again
    client = ModelClient(endpoint, price=price_of(endpoint.model, settings.home))
    return Speaker(
        voice=ChatVoice(client=client, prompt_tokens=settings.prompt_tokens), words=words
    )
