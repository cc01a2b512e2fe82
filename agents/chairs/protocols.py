"""The two chairs: who decides what to do next, and who rewrites the principles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vitruvius.agents.chairs.view import RunView
from vitruvius.memory.edits import Edit
from vitruvius.memory.records import DecisionStatus, ModelCall
from vitruvius.tools.calls.tool import Tool


@dataclass(frozen=True, kw_only=True)
class TurnedDown:
    """A reply of `author` that was not accepted, and the sentence that the author was told."""

    author: str
    status: DecisionStatus
    text: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A decision with its author. `turned_down` came before it; `calls` are what it cost."""

    decision: Tool
    author: str
    turned_down: Sequence[TurnedDown] = field(default_factory=tuple)
    calls: Sequence[ModelCall] = field(default_factory=tuple)


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """Edits with their author, as `Proposal`."""

    edits: Sequence[Edit]
    author: str
    turned_down: Sequence[TurnedDown] = field(default_factory=tuple)
    calls: Sequence[ModelCall] = field(default_factory=tuple)


class Architect(Protocol):
    """Decides one step."""

    async def decide(self, view: RunView) -> Proposal: ...


class Theorist(Protocol):
    """Proposes edits after a batch of results; none is a fine answer."""

    async def rewrite(self, view: RunView) -> Rewrite: ...
