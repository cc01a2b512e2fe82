"""The search graph for a LangGraph server: Studio and any SDK client start, watch and steer runs.

The server brings its own checkpointer, which does not matter: a run goes on from the ledger. A
thread that enters a run of its own goes on with it; one that enters another thread's makes a fork.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from pydantic import Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from vitruvius import api
from vitruvius.events import Event
from vitruvius.graphs.drive.driver import Job, recursion_limit
from vitruvius.graphs.search.graph import create_search_graph
from vitruvius.graphs.search.session import Session
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.run.handle import SearchRun
from vitruvius.spaces import built_in as built_in_spaces
from vitruvius.tasks import built_in as built_in_tasks

OWNER = "thread"  # mark of a run: the thread of a server that entered it last


class RunRequest(TypedDict, total=False):
    """A run to go on with, or what a new one is to search; what is left out has a default."""

    run_id: Annotated[str, Field(description="a run to go on with; then only `ask` is read")]
    task: Annotated[str, Field(description=built_in_tasks.help_words())]
    space: Annotated[str, Field(description=built_in_spaces.help_words())]
    budget: Annotated[str, Field(description="limits, like '60 trials, 8h, 2M tokens, $5'")]
    model: Annotated[str, Field(description="analyst, auto, or a model that the endpoint serves")]
    seed: Annotated[int, Field(description="of every random choice")]
    principles_from: Annotated[list[str], Field(description="runs, tables or files; 'memory'")]
    ask: Annotated[bool, Field(description="interrupt before each costly decision")]


class RunAnswer(TypedDict, total=False):
    """The run that was driven, how it ended, and its report as Markdown."""

    run_id: str
    status: str
    report: str


class RunState(RunRequest, RunAnswer, total=False):
    """The request and the answer."""


async def enter(state: RunState, config: RunnableConfig) -> RunAnswer:
    """Finds or makes the run that this thread drives: its own, a new one, or a fork."""
    thread = str(config["configurable"]["thread_id"])
    run = await asyncio.to_thread(_entered, state, thread)
    return {"run_id": run.id}


async def search(state: RunState, config: RunnableConfig) -> RunAnswer:
    """Drives the run; entered again after each answer to its questions."""
    run = await asyncio.to_thread(api.open, state["run_id"])
    tell = get_stream_writer()

    def listen(event: Event) -> None:
        tell({"kind": event.kind.value, "text": event.text})

    asks = bool(state.get("ask"))
    through = partial(_through, config, asks)
    status = await run.drive_through(through, on_event=listen, asks=asks)
    return {"status": status.value, "report": await asyncio.to_thread(lambda: run.report)}


def create_server_graph() -> CompiledStateGraph[RunState, None, RunRequest, RunAnswer]:
    """Returns the graph without a checkpointer: the server brings its own."""
    graph = StateGraph(RunState, input_schema=RunRequest, output_schema=RunAnswer)
    graph.add_node("enter", enter)
    graph.add_node("search", search)
    graph.add_edge(START, "enter")
    graph.add_edge("enter", "search")
    return graph.compile(name="search")


def _entered(state: RunState, thread: str) -> SearchRun:
    given: dict[str, Any] = dict(state)
    run_id = given.pop("run_id", None)
    for name in ("ask", "status", "report"):
        given.pop(name, None)
    if run_id is None:
        run = api.create(**given)
    else:
        run = api.open(str(run_id))
        with Ledger.open(run.home) as ledger:
            owners = ledger.steps.marks(run.id, OWNER, last=1)
        if owners and owners[-1].data["thread"] != thread:
            run = run.fork()
    with Ledger.open(run.home) as ledger:
        ledger.steps.mark(
            run.id, OWNER, ledger.steps.accepted_decisions(run.id), {"thread": thread}
        )
    return run


async def _through(config: RunnableConfig, asks: bool, job: Job, session: Session) -> None:
    """Runs the search as a graph inside the node, so that its questions are the thread's."""
    inner = create_search_graph(None if asks else False)  # without questions, nothing to keep
    bounded: RunnableConfig = {**config, "recursion_limit": recursion_limit(job.run)}
    await inner.ainvoke({"run_id": job.run.id}, bounded, context=session)


graph = create_server_graph()
