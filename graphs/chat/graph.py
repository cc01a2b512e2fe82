"""The chat graph: a turn of a conversation about a run. Reads top to bottom as what happens.

State holds ids; the messages are in the ledger, and where a turn stands is read from them. A node
that is entered again after a kill finds what it has already written.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer, Command, interrupt

from vitruvius.graphs.chat import act as chat_acting
from vitruvius.graphs.chat import speak as chat_speaking
from vitruvius.graphs.chat.session import ChatSession


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
