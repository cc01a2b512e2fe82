"""What is asked and said of a run from outside its loop: wishes and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

from vitruvius.memory.calls import Call, read_stored


class WishStatus(StrEnum):
    """Where a wish stands."""

    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asks of a run from outside its loop; its driver carries it out.

    `step` is where the driver took it up, `decision_id` the decision that it became, if any.
    """

    id: int
    run_id: str
    author: str
    written: Mapping[str, Any]  # its row: a call of a tool, see `tools.calls.registry.read_wish`
    status: WishStatus
    words: str  # what became of it
    created: datetime
    step: int | None = None
    decision_id: int | None = None

    @cached_property
    def call(self) -> Call:
        """What is asked for, as the class of its tool."""
        return read_stored(self.written)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message of a conversation about a run. `step`: decisions that were over by then."""

    id: int
    run_id: str
    thread: str
    role: Literal["user", "agent", "tool"]
    text: str
    data: Mapping[str, Any]
    created: datetime
    step: int = 0
