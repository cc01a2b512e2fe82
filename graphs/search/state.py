"""What flows through the graph: ids only. Everything else is read from the ledger."""

from __future__ import annotations

from typing import TypedDict


class SearchInput(TypedDict):
    """What a caller gives: the run to drive, new or interrupted."""

    run_id: str


class SearchState(TypedDict, total=False):
    """The run and the decision under way."""

    run_id: str
    decision_id: int
    answer: dict[str, object] | None  # of the person who was asked, None where nobody was
    problem: str | None  # with the call that the person wrote instead: they are asked again
