"""The search graph. Reads top to bottom as the algorithm."""

from __future__ import annotations

from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Checkpointer

from vitruvius.graphs.search import nodes
from vitruvius.graphs.search.session import Session
from vitruvius.graphs.search.state import SearchInput, SearchState


def create_search_graph(
    checkpointer: Checkpointer = None,
) -> CompiledStateGraph[SearchState, Session, SearchInput, Any]:
    """Returns the compiled graph; where each node may go next stands in its annotation."""
    graph = StateGraph(SearchState, context_schema=Session, input_schema=SearchInput)
    graph.add_node("recall", nodes.recall)
    graph.add_node("prune", nodes.prune)
    graph.add_node("wishes", nodes.wishes)
    graph.add_node("architect", nodes.architect)
    graph.add_node("approve", nodes.approve)
    graph.add_node("act", nodes.act)
    graph.add_node("reflect", nodes.reflect)
    graph.add_node("verify", nodes.verify)
    graph.add_node("confirm", nodes.confirm)
    graph.add_node("report", nodes.report)
    graph.add_edge(START, "recall")
    return graph.compile(checkpointer=checkpointer, name="search")
