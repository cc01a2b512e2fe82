"""The agent's next message: the model's, or the analyst's by plain matching of words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vitruvius.agents.chat.commands import completed
from vitruvius.agents.chat.intents import CANNOT, intent_of
from vitruvius.agents.chat.tools import check_call, tool_schemas
from vitruvius.agents.chat.voice import ChatVoice
from vitruvius.errors import ToolError, VitruviusError
from vitruvius.graphs.chat.session import ChatSession, Told, Turn
from vitruvius.memory.ledger.requests import Message
from vitruvius.memory.records import ModelCall
from vitruvius.tools.questions.asking import answer, is_question, read_question
from vitruvius.tools.questions.book import Book

ANALYST = "analyst"
MOST_ROUNDS = 6  # replies with tool calls in one turn; then the model must answer in words


async def speak(session: ChatSession, turn: Turn) -> Message:
    """Returns the agent's next message of this turn, stored."""
    assert turn.question is not None
    text = turn.question.text
    voice = session.speaker.voice
    if voice is None or text.startswith("/"):
        return await session.call(_analyst, session, text)
    return await _model(session, turn, voice)


def _analyst(session: ChatSession, text: str) -> Message:
    """Answers a question at once; stores what else is asked for as a call, to be approved."""
    book = session.book()
    try:
        call = intent_of(text)
        if call is None:
            return session.add("agent", CANNOT, {"author": ANALYST})
        if is_question(call):
            found = answer(book, read_question(call))
            data = {"author": ANALYST, "tool": call["tool"], "drawing": found.drawing}
            return session.add("agent", found.text, data)
        checked = check_call(_whole(call, book), session.space)
    except ToolError as error:
        return session.add("agent", str(error), {"author": ANALYST})
    return session.add("agent", "", {"author": ANALYST, "calls": [checked]})


def _whole(call: dict[str, Any], book: Book) -> dict[str, Any]:
    return completed(call, lambda name: book.trial(name).architecture.spec, book.space)


async def _model(session: ChatSession, turn: Turn, voice: ChatVoice) -> Message:
    book, log, heard = await session.call(session.book), list[ModelCall](), list[str]()

    def hear(piece: str) -> None:
        heard.append(piece)
        session.tell(Told(kind="piece", text=piece))

    def check(call: Mapping[str, Any]) -> dict[str, Any]:
        return check_call(call, session.space)

    tools = tool_schemas(session.space) if turn.rounds < MOST_ROUNDS else {}
    about: dict[str, Any] = {"author": voice.name}
    try:
        said = await voice.say(book, turn.messages, tools, check, hear, log)
        about |= {"model": voice.name, "calls": list(said.calls)} if said.calls else {}
        text = said.text
    except VitruviusError as error:
        about["failed"] = True
        text = _cut_off("".join(heard), str(error))
    except asyncio.CancelledError:
        session.add("agent", _cut_off("".join(heard), "You stopped this answer."), about)
        raise
    finally:
        for call in log:
            session.ledger.steps.add_call(session.run_id, replace(call, chair="chat"))
    return await session.call(session.add, "agent", text, about)


def _cut_off(heard: str, why: str) -> str:
    """Returns what was said before it broke off, and the reason in a sentence."""
    why = why if why.endswith(".") else f"{why}."
    again = "" if why.startswith("You ") else " Nothing is lost: ask again, or use a /command."
    return f"{heard.rstrip()}\n{why}{again}".strip()
