"""The conversation for a LangGraph server: a thread of the server is a thread of the run's talk.

What is said lives in the ledger, so that a conversation begun here goes on in the terminal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, interrupt
from pydantic import Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from vitruvius import api
from vitruvius.run.conversation import Talk

Payload = Mapping[str, Any]


class ChatRequest(TypedDict):
    """What is asked, and of which run."""

    run_id: Annotated[str, Field(description="the run that is talked about")]
    text: Annotated[str, Field(description="a question, a wish, or a command such as /best")]


class ChatAnswer(TypedDict, total=False):
    """What the agent said, with the trials that it rests on."""

    reply: str


class ChatState(ChatRequest, ChatAnswer, total=False):
    """The request, the open question and its answer, the reply."""

    question: dict[str, Any] | None
    answer: dict[str, Any] | None


async def speak(state: ChatState, config: RunnableConfig) -> Command[Literal["approve", "__end__"]]:
    """Says what the person said, and lets the agent answer until it is done or has a question."""
    return await _turn(state, config, lambda talk: talk.send(state["text"]))


async def approve(state: ChatState) -> Command[Literal["act"]]:
    """Asks the person about a costly call. Has no effects: an answer re-enters it."""
    answer: Any = interrupt(state.get("question"))
    return Command(goto="act", update={"answer": answer})


async def act(state: ChatState, config: RunnableConfig) -> Command[Literal["approve", "__end__"]]:
    """Gives the answer to the question that is open in the thread."""

    def given(talk: Talk) -> Payload | None:
        talk.take_up()  # opened anew for each answer: it stands where the question was asked
        return talk.answer(state.get("answer") or {})

    return await _turn(state, config, given)


def create_server_chat() -> CompiledStateGraph[ChatState, None, ChatRequest, ChatAnswer]:
    """Returns the graph without a checkpointer: the server brings its own."""
    graph = StateGraph(ChatState, input_schema=ChatRequest, output_schema=ChatAnswer)
    graph.add_node("speak", speak)
    graph.add_node("approve", approve)
    graph.add_node("act", act)
    graph.add_edge(START, "speak")
    return graph.compile(name="chat")


async def _turn(
    state: ChatState, config: RunnableConfig, step: Callable[[Talk], Payload | None]
) -> Command[Literal["approve", "__end__"]]:
    thread, tell = str(config["configurable"]["thread_id"]), get_stream_writer()

    def told(what: Any) -> None:
        tell({"kind": what.kind, "text": what.text})

    def turn() -> tuple[Payload | None, str]:
        with Talk(api.open(state["run_id"]), thread, tell=told) as talk:
            return step(talk), talk.last_words()

    question, reply = await asyncio.to_thread(turn)
    if question is None:
        return Command(goto="__end__", update={"question": None, "answer": None, "reply": reply})
    return Command(goto="approve", update={"question": dict(question)})


graph = create_server_chat()
