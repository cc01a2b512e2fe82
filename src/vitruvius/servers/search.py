"""The search graph for a LangGraph server: Studio and any SDK client start, watch and steer runs.

What is exported are the nodes of the search themselves, behind one that finds the run: Studio draws
them, and a stream names them as they run. Underneath is the driver that every door uses. It holds
the run from the first node that a call of the server enters until that call is over, be it by an
end, a question, an error or a cancellation; then it lets go, as the lease demands.

The server brings its own checkpointer, which does not matter: a run goes on from the ledger. A
thread that enters a run of its own goes on with it; one that enters another thread's makes a fork.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import wraps
from typing import Annotated, Any, Literal, Protocol

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.errors import GraphBubbleUp
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import Field
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from vitruvius import api
from vitruvius.events import Event
from vitruvius.graphs.drive.driver import Job
from vitruvius.graphs.search import nodes
from vitruvius.graphs.search.graph import MOST_STEPS, NODES, Node
from vitruvius.graphs.search.nodes import SearchState
from vitruvius.graphs.search.recall import recall_principles
from vitruvius.graphs.search.session import Session
from vitruvius.memory.ledger.ledger import Ledger
from vitruvius.memory.records import RunStatus
from vitruvius.run.handle import SearchRun
from vitruvius.spaces import built_in as built_in_spaces
from vitruvius.tasks import built_in as built_in_tasks

OWNER = "thread"  # mark of a run: the thread of a server that entered it last

Entered = Command[Literal["recall", "__end__"]]


class Inside(Protocol):
    """A node of the search, in the session of a driver."""

    async def __call__(self, state: RunState, *, runtime: Runtime[None]) -> Command[Any]: ...


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


class RunState(RunRequest, RunAnswer, SearchState, total=False):
    """The request, what the search's nodes hand on, and the answer."""


class Drive:
    """The driver underneath one call of the server: it opens at the first node that is entered.

    A question ends the call, and the node that asked is the first of the next one.
    """

    def __init__(self) -> None:
        self._driving: asyncio.Task[RunStatus] | None = None
        self._opened: asyncio.Queue[Session] = asyncio.Queue()
        self._session: Session | None = None
        self._has_sources = False  # whether the runs that the session listens to are in it
        self._is_over: asyncio.Future[None]  # of the session

    async def enter(self, state: RunState, config: RunnableConfig) -> Entered:
        """Finds or makes the run that this thread drives: its own, a new one, or a fork."""
        thread = str(config["configurable"]["thread_id"])
        run = await asyncio.to_thread(_entered, state, thread)
        await self._open(run, bool(state.get("ask")))
        if self._session is None:  # it learns from rows, which is done: there is nothing to search
            return Command(goto="__end__", update=await self._answer(run.id))
        return Command(goto="recall", update={"run_id": run.id})

    def within(self, node: Node) -> Inside:
        """Returns the node as one of this graph, in the session of the driver."""

        @wraps(node)  # its annotations are the edges
        async def entered(state: Any, *, runtime: Runtime[Any]) -> Command[Any]:
            if self._session is None:
                run = await asyncio.to_thread(api.open, state["run_id"])
                await self._open(run, bool(state.get("ask")))
            session, driving = self._session, self._driving
            assert driving is not None
            if session is None:
                return Command(goto="__end__", update=await self._answer(state["run_id"]))
            if node is not nodes.recall and not self._has_sources:
                await session.call(recall_principles, session)
            self._has_sources = True
            try:
                return await node(state, runtime=runtime.override(context=session))
            except GraphBubbleUp:  # a question: the driver lets go when the call is over
                raise
            except Exception as error:  # the driver says what ended it, and to whom it matters
                self._is_over.set_exception(error)
                await asyncio.wait({driving})
                raise

        return entered

    async def report(self, state: RunState, runtime: Runtime[Any]) -> Entered:
        """Writes the report and lets go of the run; short trainings are followed by the run."""
        await self.within(nodes.report)(state, runtime=runtime)
        if self._session is not None:
            self._is_over.set_result(None)
            await self._next()
        if self._session is not None:
            return Command(goto="recall")
        return Command(goto="__end__", update=await self._answer(state["run_id"]))

    async def aclose(self) -> None:
        """Lets go of a run that has not come to its end, if one is held."""
        if self._driving is not None:
            self._driving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # the nodes raised it
                await self._driving

    async def _open(self, run: SearchRun, asks: bool) -> None:
        tell = get_stream_writer()

        def listen(event: Event) -> None:
            tell({"kind": event.kind.value, "text": event.text})

        driving = run.drive_through(self._through, on_event=listen, asks=asks)
        self._driving = asyncio.create_task(driving)
        await self._next()

    async def _through(self, job: Job, session: Session) -> None:
        """Holds the session open while the nodes work in it."""
        self._is_over = asyncio.get_running_loop().create_future()
        self._opened.put_nowait(session)
        await self._is_over

    async def _next(self) -> None:
        """Waits for the session that the driver opens next, or for its end, which may raise."""
        assert self._driving is not None
        opened = asyncio.create_task(self._opened.get())
        try:
            await asyncio.wait({opened, self._driving}, return_when=asyncio.FIRST_COMPLETED)
            self._session = opened.result() if opened.done() else None
        finally:
            opened.cancel()
        self._has_sources = False
        if self._session is None:
            await self._driving

    async def _answer(self, run_id: str) -> dict[str, Any]:
        assert self._driving is not None
        run = await asyncio.to_thread(api.open, run_id)
        report = await asyncio.to_thread(lambda: run.report)
        return {"run_id": run_id, "status": self._driving.result().value, "report": report}


class SearchGraph(CompiledStateGraph[RunState, None, RunRequest, RunAnswer]):
    """Knows no bound on its steps but the run's budget: a client's is made for shorter graphs."""

    def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Streams as any graph does."""
        return super().astream(input, {**(config or {}), "recursion_limit": MOST_STEPS}, **kwargs)


def create_server_graph(drive: Drive) -> SearchGraph:
    """Returns the graph without a checkpointer: the server brings its own."""
    graph = StateGraph(RunState, input_schema=RunRequest, output_schema=RunAnswer)
    graph.add_node("enter", drive.enter)
    for name, node in NODES.items():
        if node is not nodes.report:
            graph.add_node(name, drive.within(node), input_schema=RunState)
    graph.add_node("report", drive.report)
    graph.add_edge(START, "enter")
    compiled = graph.compile(name="search").__dict__
    return SearchGraph(**{name: v for name, v in compiled.items() if name != "__orig_class__"})


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


@contextlib.asynccontextmanager
async def graph() -> AsyncIterator[SearchGraph]:
    """Yields the graph for one call of the server."""
    drive = Drive()
    try:
        yield await asyncio.to_thread(create_server_graph, drive)  # it reads source files
    finally:
        await drive.aclose()
