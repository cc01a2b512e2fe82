"""The search graph. Reads top to bottom as the algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Checkpointer, Command

from vitruvius.graphs.search import nodes
from vitruvius.graphs.search.nodes import SearchInput, SearchState
from vitruvius.graphs.search.session import Session

MOST_STEPS = 100_000_000  # far above what any run takes: a bound on faults, not on a run


class Node(Protocol):
    """A function of the state and the session; its annotation says where it may go next."""

    async def __call__(self, state: SearchState, *, runtime: Runtime[Session]) -> Command[Any]: ...


NODES: Mapping[str, Node] = {
    "recall": nodes.recall,
    "prune": nodes.prune,
    "wishes": nodes.wishes,
    "architect": nodes.architect,
    "approve": nodes.approve,
    "act": nodes.act,
    "reflect": nodes.reflect,
    "verify": nodes.verify,
    "confirm": nodes.confirm,
    "report": nodes.report,
}


def create_search_graph(
    checkpointer: Checkpointer = None,
) -> CompiledStateGraph[SearchState, Session, SearchInput, Any]:
    """Returns the compiled graph; where each node may go next stands in its annotation."""
    graph = StateGraph(SearchState, context_schema=Session, input_schema=SearchInput)
    for name, node in NODES.items():
        graph.add_node(name, node)
    graph.add_edge(START, "recall")
    return graph.compile(checkpointer=checkpointer, name="search")
