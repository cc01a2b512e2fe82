"""How a chair asks its model: for one thing, with a fresh prompt; a bad reply is to be mended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from vitruvius.agents.chairs.prompt import Page, prompts, render, template
from vitruvius.agents.chairs.view import RunView, TurnedDown
from vitruvius.agents.model.capabilities import Capabilities, Mode, probe
from vitruvius.agents.model.client import Chair, ModelClient, Question, Reply
from vitruvius.agents.model.quoting import quoted
from vitruvius.agents.model.reader import UnreadableReply, json_values, read_calls
from vitruvius.agents.model.schemas import in_words, native_tools
from vitruvius.agents.model.transport import BadReply, ContextFull, RequestRefused, TransportFailed
from vitruvius.memory.records import DecisionStatus, ModelCall
from vitruvius.tools.calls.schemas import Offer, Problem, Schema

MENDS = 2
LEAST_PAGE = 800  # tokens; below this the page says too little to decide on
LEAST_REPLY = 200  # tokens
KEPT_CHARS = 2000  # of a reply that was turned down

T = TypeVar("T")
Schemas = Mapping[str, Offer]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is asked for, in each of the three modes."""

    chair: Chair
    ask: str  # the end of the page
    tools: Schemas  # native tools
    calls: Schemas  # what an answer may hold, told in words
    key: str  # `tool` or `edit`: what names a call written as text
    schema: Schema  # of the whole answer
    sketch: str  # of the whole answer, for people and models


@dataclass(kw_only=True)
class Talk(Generic[T]):
    """What came of asking: a value or None, what was turned down before it, and the cost."""

    value: T | None = None
    turned_down: list[TurnedDown] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)


class PartlyGood(Problem, Generic[T]):
    """A reply with a problem, part of which can be used if no better one comes."""

    def __init__(self, problem: Problem, good: T) -> None:
        super().__init__(problem.status, problem.sentence)
        self.good = good


class Voice:
    """Asks one model on behalf of both chairs. The mode is found out once, by a probe."""

    def __init__(
        self, client: ModelClient, *, prompt_tokens: int = 8000, mode: Mode | None = None
    ) -> None:
        prompts()  # read now: a step must not block the event loop on files
        self.client = client
        self.prompt_tokens = prompt_tokens
        self._mode = mode
        self._capabilities: Capabilities | None = None
        self._probing: asyncio.Lock | None = None

    @property
    def name(self) -> str:
        return self.client.endpoint.model

    async def talk(self, view: RunView, form: Form, read: Callable[[Reply], T]) -> Talk[T]:
        """Returns what `read` makes of a reply, asking again at most `MENDS` times.

        Each time with a fresh page, at whose end the last reply and its problem stand. `read`
        raises `Problem` or `UnreadableReply` for a reply that will not do.

        Raises:
            ConfigError: the endpoint refuses the key or does not know the model.
        """
        talk: Talk[T] = Talk()
        last, mend = "", ""
        for _ in range(1 + MENDS):
            try:
                reply = await self._ask(view, form, mend, talk)
                talk.value = read(reply)
                return talk
            except (TransportFailed, RequestRefused, ContextFull) as error:
                self._turn_down(talk, Problem(DecisionStatus.REFUSED, str(error)), "")
                break
            except BadReply as error:
                problem, shown = _malformed(str(error)), ""
            except UnreadableReply as error:
                problem, shown = _malformed(_unreadable(reply, error)), reply.shown
            except _Stop as stop:
                self._turn_down(talk, stop.problem, "")
                break
            except Problem as error:
                problem, shown = error, reply.shown
                talk.value = error.good if isinstance(error, PartlyGood) else talk.value
            self._turn_down(talk, problem, shown)
            mend = _mend(problem, shown, again=shown == last)
            last = shown
        return talk

    def _turn_down(self, talk: Talk[T], problem: Problem, shown: str) -> None:
        text = self.client.endpoint.redact(shown[:KEPT_CHARS])
        talk.turned_down.append(
            TurnedDown(author=self.name, status=problem.status, text=text, problem=problem.sentence)
        )

    async def _ask(self, view: RunView, form: Form, mend: str, talk: Talk[T]) -> Reply:
        """Asks with a page that fits; halves it where the model's context proves smaller."""
        capabilities = await self._known(talk.calls)
        mode = self._mode or capabilities.mode
        while True:
            question = self._question(view, form, mend, mode, capabilities)
            question = self._within_budget(view, question, talk.calls)
            streaming = capabilities.streaming and capabilities.usage
            try:
                return await self.client.ask(question, talk.calls, streaming=streaming)
            except ContextFull:
                sent = self.client.counter.count(question.said)
                if min(sent, self.prompt_tokens) // 2 < LEAST_PAGE:
                    raise
                self.prompt_tokens = min(sent, self.prompt_tokens) // 2

    async def _known(self, log: list[ModelCall]) -> Capabilities:
        self._probing = self._probing or asyncio.Lock()
        async with self._probing:
            if self._capabilities is None:
                self._capabilities = await probe(self.client, log)
            return self._capabilities

    def _question(
        self, view: RunView, form: Form, mend: str, mode: Mode, capabilities: Capabilities
    ) -> Question:
        words = {"calls": in_words(form.calls, form.key), "form": form.sketch}
        answer = template(f"answer_{mode}").substitute(words)
        system = template(form.chair).substitute(answer=answer)
        tools = native_tools(form.tools) if mode == "tools" else ()
        counter = self.client.counter
        around = counter.count(system + mend) + counter.count(json.dumps(tools) if tools else "")
        page: Page = render(
            view,
            f"{form.ask}\n\n{mend}".strip(),
            count=counter.count,
            budget=max(self.prompt_tokens - around, LEAST_PAGE),
        )
        return Question(
            chair=form.chair,
            step=view.step,
            system=system,
            user=page.text,
            tools=tools,
            tool_choice=capabilities.tool_choice,
            schema=form.schema if mode == "json_schema" else None,
        )

    def _within_budget(
        self, view: RunView, question: Question, calls: Sequence[ModelCall]
    ) -> Question:
        """Returns the question with its answer no longer than the run's account covers.

        Raises:
            _Stop: if that is less than `LEAST_REPLY` tokens.
        """
        client = self.client
        prompt = client.counter.count(question.said)
        room = float(client.endpoint.max_tokens)
        if view.budget.tokens is not None:
            used = view.spent.tokens + sum(call.tokens_in + call.tokens_out for call in calls)
            room = min(room, view.budget.tokens - used - prompt)
        if view.budget.dollars is not None and (price := client.dollars(0, 1)) > 0:
            used_dollars = view.spent.dollars + sum(call.dollars for call in calls)
            left = view.budget.dollars - used_dollars - client.dollars(prompt, 0)
            room = min(room, left / price)
        if room < LEAST_REPLY:
            raise _Stop(
                f"the budget of tokens or dollars does not cover a prompt of about {prompt} "
                f"tokens and a reply of {LEAST_REPLY}"
            )
        return replace(question, max_tokens=int(room))


class _Stop(Exception):
    """Not to be asked: the budget does not cover it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.problem = Problem(DecisionStatus.OVER_BUDGET, sentence)


def _malformed(sentence: str) -> Problem:
    return Problem(DecisionStatus.MALFORMED, sentence)


def _unreadable(reply: Reply, error: UnreadableReply) -> str:
    if reply.is_cut:
        return (
            f"{error}: it was cut after {reply.tokens_out} tokens; answer shorter, with the call "
            "alone"
        )
    return str(error)


def _mend(problem: Problem, shown: str, *, again: bool) -> str:
    text = template("mend").substitute(
        reply=quoted(shown, 600) if shown else '""', problem=problem.sentence
    )
    return f"{text}\n{template('mend_again').template}" if again else text


def calls_of(reply: Reply, names: Sequence[str], key: str) -> list[dict[str, Any]]:
    """Returns the calls of a reply, native or written as text, as flat JSON objects.

    Raises:
        Problem: if the model refused.
        UnreadableReply: if there is no call that can be read.
    """
    if reply.calls:
        return [{**_arguments(call.name, call.arguments), key: call.name} for call in reply.calls]
    if reply.refusal:
        raise Problem(DecisionStatus.REFUSED, f"the model refused: {reply.refusal}")
    return read_calls(reply.text, names, key)


def _arguments(name: str, text: str) -> Mapping[str, Any]:
    value = next(json_values(text), None)
    if not isinstance(value, Mapping):
        raise UnreadableReply(f"the arguments of {name or 'the tool call'} are not complete JSON")
    return value
