"""The chat graph: a turn of a conversation about a run. Reads top to bottom as what happens.

State holds ids; the messages are in the ledger, and where a turn stands is read from them. A node
that is entered again after a kill finds what it has already written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer, Command, interrupt

from vitruvius.agents.chat.commands import CANNOT, completed, intent_of
from vitruvius.agents.chat.tools import check_call, tool_schemas
from vitruvius.agents.chat.voice import ChatVoice
from vitruvius.errors import ToolError, VitruviusError
from vitruvius.graphs.chat import act as chat_acting
from vitruvius.graphs.chat import graph as chat_speaking
from vitruvius.graphs.chat.session import ChatSession, Told, Turn
from vitruvius.memory.ledger.requests import Message
from vitruvius.memory.records import ModelCall
from vitruvius.tools.questions.book import Book
from vitruvius.tools.questions.registry import answer, is_question, read_question


class ChatInput(TypedDict):
    """What a caller gives: the run that is talked about, and the thread of the conversation."""

    run_id: str
    thread: str


class ChatState(TypedDict, total=False):
    """The thread, the message whose calls are under way, and the person's answer to the last."""

    run_id: str
    thread: str
    message: int
    answer: dict[str, object] | None


async def agent(
    state: ChatState, runtime: Runtime[ChatSession]
) -> Command[Literal["approve", "__end__"]]:
    """Stores the next message of the agent, unless the turn is over or a call waits."""
    session = runtime.context
    turn = await session.call(session.turn)
    if turn.is_over:
        return Command(goto="__end__")
    if turn.pending is None:
        reply = await chat_speaking.speak(session, turn)
        if not reply.data.get("calls"):
            return Command(goto="__end__", update={"message": reply.id, "answer": None})
        return Command(goto="approve", update={"message": reply.id, "answer": None})
    return Command(goto="approve")


async def approve(state: ChatState, runtime: Runtime[ChatSession]) -> Command[Literal["act"]]:
    """Asks the person about a costly call. Has no effects: an answer re-enters it."""
    session = runtime.context
    question = await session.call(chat_acting.question_about, session)
    answer: Any = None if question is None else interrupt(question)
    return Command(goto="act", update={"answer": answer})


async def act(
    state: ChatState, runtime: Runtime[ChatSession]
) -> Command[Literal["approve", "agent"]]:
    """Carries the next call out, or says that it was refused; stores what came of it."""
    session = runtime.context
    await chat_acting.carry_out(session, state.get("answer"))
    turn = await session.call(session.turn)
    return Command(goto="agent" if turn.pending is None else "approve", update={"answer": None})


def create_chat_graph(
    checkpointer: Checkpointer = None,
) -> CompiledStateGraph[ChatState, ChatSession, ChatInput, Any]:
    """Returns the compiled graph; where each node may go next stands in its annotation."""
    graph = StateGraph(ChatState, context_schema=ChatSession, input_schema=ChatInput)
    graph.add_node("agent", agent)
    graph.add_node("approve", approve)
    graph.add_node("act", act)
    graph.add_edge(START, "agent")
    return graph.compile(checkpointer=checkpointer, name="chat")


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
